"""The pipeline connection on a real server: replies in order, credentials, every way to end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hiredis import ReplyError
from redis.exceptions import RedisError

from bridge_common.redis.clients import RedisClients, open_clients
from bridge_common.redis.pipeline import RedisPipeline, pack
from lab.ports import free_port
from tests.integration.support.tcp_proxy import TcpProxy
from tests.support.eventually import eventually


async def test_replies_arrive_in_order_and_errors_are_replies(clients: RedisClients) -> None:
    replies: list[Any] = []
    wire = await RedisPipeline.open(clients.media, replies.append)
    wire.send(pack("SET", "a", 1) + pack("INCR", "a") + pack("LPUSH", "a", "x"), replies=3)
    wire.send(pack(b"GET", b"a"))
    await eventually(lambda: len(replies) == 4)
    assert replies[:2] == [b"OK", 2]
    assert isinstance(replies[2], ReplyError)
    assert replies[3] == b"2"
    wire.abort()
    assert not wire.is_open


async def test_a_message_of_a_channel_is_no_reply(clients: RedisClients) -> None:
    replies: list[Any] = []
    messages: list[tuple[bytes, bytes]] = []
    wire = await RedisPipeline.open(
        clients.media, replies.append, lambda channel, message: messages.append((channel, message))
    )
    wire.send(pack("SUBSCRIBE", "a") + pack("SSUBSCRIBE", "b") + pack("PING"), replies=3)
    await eventually(lambda: len(replies) == 3)
    assert [reply[0] for reply in replies[:2]] == [b"subscribe", b"ssubscribe"]
    for channel, publish in (("a", "PUBLISH"), ("b", "SPUBLISH")):
        await clients.control.execute_command(publish, channel, b"x")  # type: ignore[no-untyped-call]
    wire.send(pack("UNSUBSCRIBE", "a"), replies=0)
    wire.send(pack("PING"))
    await eventually(lambda: len(replies) == 4 and len(messages) == 2)
    assert messages == [(b"a", b"x"), (b"b", b"x")]
    assert replies[2:] == [b"PONG"] * 2
    assert await _never_lost(wire)


async def _never_lost(wire: RedisPipeline) -> bool:
    """Assert that the number of pending replies is correct."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.4):
            await wire.until_lost(0.1)
    is_open = wire.is_open
    wire.abort()
    return is_open


@pytest.fixture
async def address_of_wire(clients: RedisClients, redis_url: str) -> AsyncIterator[str]:
    """The server, where a user `wire` with the password `secret` exists."""
    await clients.control.execute_command("ACL", "SETUSER", "wire", "on", ">secret", "~*", "+@all")  # type: ignore[no-untyped-call]
    yield redis_url.removeprefix("redis://")
    await clients.control.execute_command("ACL", "DELUSER", "wire")  # type: ignore[no-untyped-call]


async def test_it_authenticates_like_every_other_connection(address_of_wire: str) -> None:
    replies: list[Any] = []
    authenticated = open_clients(f"redis://wire:secret@{address_of_wire}")
    wire = await RedisPipeline.open(authenticated.media, replies.append)
    wire.send(pack("ACL", "WHOAMI"))
    await eventually(lambda: replies)
    assert replies == [b"wire"]
    wire.abort()
    await authenticated.aclose()


async def test_a_wrong_password_is_refused(address_of_wire: str) -> None:
    stranger = open_clients(f"redis://wire:wrong@{address_of_wire}")
    with pytest.raises(RedisError):
        await RedisPipeline.open(stranger.media, print)
    await stranger.aclose()


async def test_a_lost_connection_is_noticed(proxy: TcpProxy, shaky_clients: RedisClients) -> None:
    wire = await RedisPipeline.open(shaky_clients.media, print)
    lost = asyncio.create_task(wire.until_lost(patience_s=5))
    proxy.cut()
    assert await asyncio.wait_for(lost, 10)
    assert not wire.is_open
    wire.send(pack("PING"))


async def test_a_silent_server_is_left_only_while_a_reply_is_pending(
    proxy: TcpProxy, shaky_clients: RedisClients
) -> None:
    replies: list[Any] = []
    wire = await RedisPipeline.open(shaky_clients.media, replies.append)
    lost = asyncio.create_task(wire.until_lost(patience_s=0.2))
    done, _ = await asyncio.wait([lost], timeout=0.5)
    assert not done
    proxy.silent = True
    wire.send(pack("PING"))
    assert await asyncio.wait_for(lost, 10) == "no reply for 0.2 s"
    assert replies == []


async def test_nothing_is_dispatched_after_an_abort(clients: RedisClients) -> None:
    replies: list[Any] = []

    def once(reply: Any) -> None:
        replies.append(reply)
        wire.abort()

    wire = await RedisPipeline.open(clients.media, once)
    wire.send(pack("PING") * 5, replies=5)
    await wire.until_lost(1)
    assert replies == [b"PONG"]


async def test_data_of_another_protocol_closes_the_connection(clients: RedisClients) -> None:
    wire = await RedisPipeline.open(clients.media, print)
    wire.data_received(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert "not the Redis protocol" in await wire.until_lost(1)


async def test_an_unreachable_server_raises_errors_of_redis_py() -> None:
    absent = open_clients(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(RedisError):
        await RedisPipeline.open(absent.media, print)
    await absent.aclose()
