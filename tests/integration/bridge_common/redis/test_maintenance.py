"""Maintenance notifications: no connection requests them, and a MOVING that arrives loses no entry (ADR 33)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from urllib.parse import urlsplit

import pytest

from bridge_common.redis.clients import RedisClients, command, open_clients
from bridge_common.redis.pipeline import RedisPipeline
from bridge_common.streams.reader import StreamReader
from bridge_common.streams.writer import StreamWriter
from bridge_common.wire.entries import Dtmf
from tests.integration.support.moving_redis import MovingRedis, moving_redis
from tests.integration.support.stream_peers import Fences, Listener, make_stream, running, tones
from tests.support.eventually import eventually

NOWHERE = "node2.internal.invalid:6379"


@pytest.fixture
async def moving(redis_url: str) -> AsyncIterator[MovingRedis]:
    port = urlsplit(redis_url).port
    assert port is not None
    async with moving_redis(port) as proxy:
        yield proxy


@pytest.fixture
async def moved_clients(moving: MovingRedis) -> AsyncIterator[RedisClients]:
    async with aclosing(open_clients(f"redis://127.0.0.1:{moving.port}/0")) as clients:
        for client in (clients.media, clients.blocking, clients.control):
            await client.ping()
        yield clients


async def test_no_connection_requests_them(moving: MovingRedis, moved_clients: RedisClients) -> None:
    wire = await RedisPipeline.open(moved_clients.media, print)
    wire.abort()
    assert moving.asked == 0


async def test_a_move_to_an_unusable_address_interrupts_nothing(
    moving: MovingRedis, moved_clients: RedisClients
) -> None:
    key = await make_stream(moved_clients.control)
    reader, listener = StreamReader(moved_clients.blocking), Listener()
    writer = StreamWriter(moved_clients.media)
    outlet = Fences().outlet(writer, key, 1)
    reader.add(key, "0-1", listener.sink(key))
    async with running(reader), running(writer):
        for number in range(100):
            if number == 20:
                moving.announce_move(NOWHERE)
            if number == 40:
                # A connection that opens now must not go to the announced address.
                moving.cut()
            outlet.append(Dtmf(str(number)))
            began = time.monotonic()
            await command(moved_clients.control, "SET", "key", number)
            assert time.monotonic() - began < 1
            await asyncio.sleep(0.005)
        await eventually(partial(listener.has, key, 100), within_s=3)
    assert listener.heard[key] == tones(100)
