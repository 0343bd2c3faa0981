"""The downlink while the relay's ownership of the call is uncertain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agent_relay.call.downlink_writer import DownlinkWriter
from bridge_common.redis.clients import RedisClients, command
from bridge_common.store.call_store import CallStore
from bridge_common.store.leases import Claim
from bridge_common.streams.writer import StreamWriter
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import Clear, ItemEnd, Opened
from bridge_common.wire.entry_codec import decode
from bridge_common.wire.keys import Keys
from tests.support.eventually import eventually

CALL = f"call_{7:024x}"


@pytest.fixture
async def writer(clients: RedisClients) -> AsyncIterator[StreamWriter]:
    one = StreamWriter(clients.media)
    running = asyncio.create_task(one.run())
    yield one
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_is_held_back_is_said_once_it_is_sure(clients: RedisClients, writer: StreamWriter) -> None:
    keys = Keys(1)
    await CallStore(clients.control, keys).create(CallRecord(call_id=CALL, status=Status.RINGING, created_ms=1))
    lost: list[str] = []
    downlink = DownlinkWriter(writer, keys.downlink(CALL), Claim(CALL, 5), lambda: lost.append("lost"))

    async def written() -> list[object]:
        stored = await command(clients.control, "XRANGE", keys.downlink(CALL), "-", "+")
        return [decode(content[b"e"]) for _, content in stored]

    downlink.append(ItemEnd("a"))
    downlink.mute(True)
    downlink.mute(True)
    downlink.append(Clear("b"))
    await writer.flush()
    assert await written() == [Opened(), ItemEnd("a")]
    downlink.mute(False)
    await writer.flush()
    assert await written() == [Opened(), ItemEnd("a"), Clear("b")]
    newer = DownlinkWriter(writer, keys.downlink(CALL), Claim(CALL, 6), lambda: None)
    newer.append(ItemEnd("c"))
    await writer.flush()
    downlink.append(ItemEnd("d"))
    await eventually(lambda: lost)
    assert await written() == [Opened(), ItemEnd("a"), Clear("b"), ItemEnd("c")]
    downlink.close()
    newer.close()
