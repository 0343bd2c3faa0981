"""The three clients on a real server: timeouts, errors, many commands at once, closing."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bridge_common.base.errors import OutsideError
from bridge_common.redis.clients import (
    MAX_BLOCK_MS,
    RedisClients,
    command,
    is_passing,
    open_clients,
    redis_errors,
)
from bridge_common.streams.stream_entries import entries_of, xread
from lab.ports import free_port
from tests.integration.support.tcp_proxy import TcpProxy
from tests.support.eventually import eventually


async def test_warm_up_opens_the_connections(clients: RedisClients) -> None:
    await clients.warm_up()
    opened = len(await clients.control.client_list())
    await asyncio.gather(*(clients.control.ping() for _ in range(200)))
    assert len(await clients.control.client_list()) == opened >= 8


async def test_without_redis_nothing_is_warmed_up() -> None:
    absent = open_clients(f"redis://127.0.0.1:{free_port()}/0")
    await absent.warm_up()
    await absent.aclose()


async def test_a_blocking_read_waits_for_the_longest_block(clients: RedisClients) -> None:
    began = time.monotonic()
    reply = await xread(clients.blocking, {"nothing": "0-0"}, count=1, block_ms=MAX_BLOCK_MS)
    assert list(entries_of(reply)) == []
    assert MAX_BLOCK_MS / 1000 - 0.1 < time.monotonic() - began < 2.9


async def test_a_blocking_read_on_a_silent_server_times_out(proxy: TcpProxy, shaky_clients: RedisClients) -> None:
    proxy.silent = True
    began = time.monotonic()
    with pytest.raises(RedisTimeoutError):
        await xread(shaky_clients.blocking, {"nothing": "0-0"}, count=1, block_ms=MAX_BLOCK_MS)
    assert time.monotonic() - began < 2.9


async def test_media_writes_fail_fast_and_are_not_retried(proxy: TcpProxy, shaky_clients: RedisClients) -> None:
    proxy.silent = True
    began = time.monotonic()
    with pytest.raises(RedisError):
        await shaky_clients.media.xadd("list", {"e": b"1"})
    assert time.monotonic() - began < 1.0
    proxy.silent = False
    assert await shaky_clients.control.xlen("list") == 1


async def test_control_commands_survive_a_cut_connection(proxy: TcpProxy, shaky_clients: RedisClients) -> None:
    proxy.cut()
    await shaky_clients.control.set("key", "1")
    proxy.lose_replies()
    assert await shaky_clients.control.get("key") == b"1"
    assert proxy.lost_replies == 1


async def test_more_commands_than_connections_all_succeed(clients: RedisClients) -> None:
    replies = await asyncio.gather(*(clients.control.incr("count") for _ in range(500)))
    assert sorted(replies) == list(range(1, 501))


async def test_waiting_commands_are_served_first_come_first_served(clients: RedisClients) -> None:
    """A command that was canceled while it waited does not block the others."""
    pool = clients.control.connection_pool
    taken = [await pool.get_connection() for _ in range(8)]  # type: ignore[no-untyped-call]
    canceled = asyncio.create_task(command(clients.control, "PING"))
    served: list[int] = []

    async def one(number: int) -> None:
        await command(clients.control, "PING")
        served.append(number)

    waiting = []
    for number in range(20):
        waiting.append(asyncio.create_task(one(number)))
        await asyncio.sleep(0)
    canceled.cancel()
    await asyncio.sleep(0.05)
    assert not served
    await pool.release(taken.pop())
    await eventually(lambda: served)
    late = asyncio.create_task(one(20))
    await asyncio.wait_for(asyncio.gather(*waiting, late), 5)
    assert served == list(range(21))
    for connection in taken:
        await pool.release(connection)
    assert len(await clients.control.client_list()) == 8, "none was opened in addition"


async def test_the_reply_of_a_canceled_command_is_not_read_by_the_next(clients: RedisClients) -> None:
    await clients.control.set("key", "right")
    for turns in range(60):
        waiting = asyncio.create_task(xread(clients.control, {"nothing": "0-0"}, count=1, block_ms=500))
        for _ in range(turns % 20):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await clients.control.get("key") == b"right"


async def test_no_cancellation_is_lost(clients: RedisClients) -> None:
    """In whichever iteration of the loop it arrives, it ends the task, unless the task was done already."""

    async def write() -> None:
        pipeline = clients.media.pipeline(transaction=False)
        for _ in range(100):
            pipeline.set("key", b"x" * 100)
        await pipeline.execute(raise_on_error=False)
        ended.append("written")

    await clients.media.ping()
    ended: list[str] = []
    cancelled = 0
    for turns in range(200):
        ended.clear()
        task = asyncio.create_task(write())
        for _ in range(turns % 20):
            await asyncio.sleep(0)
        if task.cancel():
            cancelled += 1
            with pytest.raises(asyncio.CancelledError):
                await task
            assert ended == []
    assert cancelled > 50


async def test_replies_are_bytes_in_the_shape_of_resp3(clients: RedisClients) -> None:
    await clients.control.hset("hash", "name", "value")
    stored: dict[bytes, bytes] = await command(clients.control, "HGETALL", "hash")
    assert stored == {b"name": b"value"}


async def test_a_refused_command_is_not_to_be_retried(clients: RedisClients) -> None:
    await clients.control.set("text", "1")
    with pytest.raises(OutsideError, match="Redis rejected a command while the test: WRONGTYPE") as caught:
        async with redis_errors("the test"):
            await clients.control.xadd("text", {"e": b""})
    assert not caught.value.retry


async def test_a_command_without_reply_is_to_be_retried() -> None:
    absent = open_clients(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(OutsideError, match="Redis did not answer while testing") as caught:
        async with redis_errors("testing"):
            await absent.control.ping()
    assert caught.value.retry
    await absent.aclose()


async def test_a_refusal_for_full_memory_is_to_be_retried(clients: RedisClients) -> None:
    await clients.control.config_set("maxmemory", "1")
    try:
        with pytest.raises(OutsideError) as caught:
            async with redis_errors("the test"):
                await clients.control.set("key", "1")
    finally:
        await clients.control.config_set("maxmemory", "0")
    assert caught.value.retry


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (ReadOnlyError("You can't write against a read only replica."), True),
        (OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), True),
        (ResponseError("MISCONF Redis is configured to save RDB snapshots"), True),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), True),
        (ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"), False),
        (ResponseError("ERR syntax error"), False),
    ],
)
def test_temporary_refusals(error: ResponseError, passing: bool) -> None:
    assert is_passing(error) is passing


@pytest.mark.parametrize(
    ("url", "cls"),
    [
        ("redis://name:secret@127.0.0.1:1/0", Connection),
        ("rediss://127.0.0.1:1/0?socket_timeout=9&max_connections=3", SSLConnection),
        ("unix:///nowhere.sock?db=0", UnixDomainSocketConnection),
    ],
)
async def test_every_scheme_has_our_timeouts(
    url: str, cls: type[Connection | SSLConnection | UnixDomainSocketConnection]
) -> None:
    clients = open_clients(url)
    timeouts = []
    for client in (clients.media, clients.blocking, clients.control):
        pool = client.connection_pool
        assert issubclass(pool.connection_class, cls)
        timeouts.append(pool.connection_kwargs["socket_timeout"])
    assert timeouts == [0.5, 1.5, 1.0]
    await clients.aclose()


async def test_a_failed_close_of_one_client_does_not_keep_the_others_open(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = open_clients(redis_url)
    for client in (clients.media, clients.blocking, clients.control):
        await client.ping()
    closed: list[str] = []
    close_media, close_control = clients.media.aclose, clients.control.aclose

    async def fail() -> None:
        raise ConnectionResetError

    async def close() -> None:
        closed.append("control")
        await close_control()

    monkeypatch.setattr(clients.blocking, "aclose", fail)
    monkeypatch.setattr(clients.control, "aclose", close)
    with pytest.raises(ConnectionResetError):
        await clients.aclose()
    assert closed == ["control"]
    monkeypatch.undo()
    await close_media()
    await clients.blocking.aclose()
