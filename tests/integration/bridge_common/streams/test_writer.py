"""The writer on a real server: order, fences, repetition, limits. `test_append_log` has the rules without a server."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bridge_common.redis.clients import RedisClients, command
from bridge_common.streams.writer import TRIM_EVERY, StreamWriter
from bridge_common.wire.entries import Audio, Dtmf
from bridge_common.wire.entry_codec import encode
from bridge_common.wire.keys import LONG_ENTRIES_KEPT, MEDIA_STREAM_LENGTH
from tests.integration.support.stream_peers import Fences, content, make_stream, running
from tests.integration.support.tcp_proxy import TcpProxy
from tests.support.eventually import eventually


async def test_entries_are_stored_in_order_by_epoch_and_sequence(clients: RedisClients) -> None:
    key, writer, fences = await make_stream(clients.control), StreamWriter(clients.media), Fences()
    outlet = fences.outlet(writer, key, 7)
    async with running(writer):
        for n in range(100):
            outlet.append(Dtmf(str(n)))
        await writer.flush()
        assert await content(clients.control) == [(f"7-{n + 1}", Dtmf(str(n))) for n in range(100)]
    assert fences.fenced == []
    assert writer.dropped == 0


async def test_many_calls_are_written_together(clients: RedisClients) -> None:
    writer, fences = StreamWriter(clients.media), Fences()
    outlets = [fences.outlet(writer, await make_stream(clients.control, f"s{n}"), 1) for n in range(200)]
    async with running(writer):
        for seq in range(10):
            for outlet in outlets:
                outlet.append(Dtmf(str(seq)))
        await writer.flush()
    for n in range(200):
        assert await content(clients.control, f"s{n}") == [(f"1-{seq + 1}", Dtmf(str(seq))) for seq in range(10)]


async def test_a_flush_gets_replies_at_once(clients: RedisClients) -> None:
    """Otherwise replies are read every 50 ms: this would take five seconds."""
    key, writer, fences = await make_stream(clients.control), StreamWriter(clients.media), Fences()
    outlet = fences.outlet(writer, key, 7)
    async with running(writer), asyncio.timeout(2.5):
        for _ in range(100):
            outlet.append(Dtmf("1"))
            await writer.flush()


async def test_a_higher_epoch_fences_the_older_writer_once(clients: RedisClients) -> None:
    key, writer, fences = await make_stream(clients.control), StreamWriter(clients.media), Fences()
    old, new = fences.outlet(writer, key, 7), fences.outlet(writer, key, 8)
    async with running(writer):
        old.append(Dtmf("1"))
        new.append(Dtmf("2"))
        await writer.flush()
        assert fences.fenced == []
        for _ in range(5):
            old.append(Dtmf("3"))
        await writer.flush()
        assert fences.fenced == ["stream 7"]
        assert old.closed
        old.append(Dtmf("4"))
        new.append(Dtmf("5"))
        await writer.flush()
    assert fences.fenced == ["stream 7"]
    assert await content(clients.control) == [("7-1", Dtmf("1")), ("8-1", Dtmf("2")), ("8-2", Dtmf("5"))]


async def test_a_missing_stream_fences_and_is_not_created(clients: RedisClients) -> None:
    writer, fences = StreamWriter(clients.media), Fences()
    outlet = fences.outlet(writer, "never-made", 1)
    async with running(writer):
        outlet.append(Dtmf("1"))
        await writer.flush()
    assert fences.fenced == ["never-made 1"]
    assert await clients.control.exists("never-made") == 0


async def test_with_on_missing_an_outlet_continues_when_the_stream_exists_again(clients: RedisClients) -> None:
    writer, fences, missed = StreamWriter(clients.media), Fences(), list[str]()
    outlet = writer.outlet("stream", 7, lambda: fences.fenced.append("fenced"), lambda: missed.append("missed"))
    async with running(writer):
        outlet.append(Dtmf("1"))
        outlet.append(Dtmf("2"))
        await writer.flush()
        assert (missed, outlet.closed) == (["missed"] * 2, False)
        key = await make_stream(clients.control)
        outlet.append(Dtmf("3"))
        await writer.flush()
        assert await content(clients.control) == [("7-3", Dtmf("3"))]
        await clients.control.delete(key)
        outlet.append(Dtmf("4"))
        outlet.close()
        await writer.flush()
    assert (missed, fences.fenced) == (["missed"] * 2, [])


async def test_one_key_of_another_type_fences_only_its_own_call(clients: RedisClients) -> None:
    await clients.control.set("text", "1")
    key, writer, fences = await make_stream(clients.control), StreamWriter(clients.media), Fences()
    bad, good = fences.outlet(writer, "text", 1), fences.outlet(writer, key, 1)
    async with running(writer):
        bad.append(Dtmf("1"))
        good.append(Dtmf("2"))
        await writer.flush()
    assert fences.fenced == ["text 1"]
    assert await content(clients.control) == [("1-1", Dtmf("2"))]


async def test_a_failing_fence_callback_affects_no_other_call(
    clients: RedisClients, caplog: pytest.LogCaptureFixture
) -> None:
    key, writer, fences = await make_stream(clients.control), StreamWriter(clients.media), Fences()

    def fail() -> None:
        raise RuntimeError("a fault of one call")

    bad, good = writer.outlet("never-made", 1, fail), fences.outlet(writer, key, 1)
    async with running(writer):
        bad.append(Dtmf("1"))
        good.append(Dtmf("2"))
        await writer.flush()
        good.append(Dtmf("3"))
        await writer.flush()
    assert [entry for _, entry in await content(clients.control)] == [Dtmf("2"), Dtmf("3")]
    assert "stream writer callback failed" in caplog.messages


async def test_a_closed_outlet_writes_its_queued_entries_only(clients: RedisClients) -> None:
    key, writer, fences = await make_stream(clients.control), StreamWriter(clients.media), Fences()
    outlet = fences.outlet(writer, key, 1)
    async with running(writer):
        outlet.append(Dtmf("1"))
        outlet.close()
        outlet.append(Dtmf("2"))
        await writer.flush()
    assert [entry for _, entry in await content(clients.control)] == [Dtmf("1")]


async def test_a_closed_outlet_is_not_notified_of_a_fence(clients: RedisClients) -> None:
    writer, fences = StreamWriter(clients.media), Fences()
    outlet = fences.outlet(writer, "never-made", 1)
    async with running(writer):
        outlet.append(Dtmf("1"))
        outlet.close()
        await writer.flush()
    assert fences.fenced == []


async def test_a_lost_reply_repeats_no_entry_and_fences_no_call(
    clients: RedisClients, proxy: TcpProxy, shaky_clients: RedisClients
) -> None:
    key, writer, fences = await make_stream(clients.control), StreamWriter(shaky_clients.media), Fences()
    outlet = fences.outlet(writer, key, 1)
    async with running(writer):
        for n in range(50):
            if n % 10 == 5:
                proxy.lose_replies()
            outlet.append(Dtmf(str(n)))
            await writer.flush()
    assert proxy.lost_replies == 5
    assert fences.fenced == []
    assert [entry for _, entry in await content(clients.control)] == [Dtmf(str(n)) for n in range(50)]


async def test_lost_connections_lose_and_repeat_no_entry(
    clients: RedisClients, proxy: TcpProxy, shaky_clients: RedisClients
) -> None:
    writer, fences = StreamWriter(shaky_clients.media), Fences()
    outlets = [fences.outlet(writer, await make_stream(clients.control, f"s{n}"), 1) for n in range(5)]
    async with running(writer):
        for n in range(40):
            for outlet in outlets:
                outlet.append(Dtmf(str(n)))
            await asyncio.sleep(0)
            if n % 8 == 3:
                proxy.cut()
            if n % 8 == 6:
                await writer.flush()
        await writer.flush()
    assert fences.fenced == []
    for n in range(5):
        assert [entry for _, entry in await content(clients.control, f"s{n}")] == [Dtmf(str(seq)) for seq in range(40)]


async def test_writing_continues_after_the_server_kills_the_client(clients: RedisClients) -> None:
    key, writer, fences = await make_stream(clients.control), StreamWriter(clients.media), Fences()
    outlet = fences.outlet(writer, key, 1)
    async with running(writer):
        outlet.append(Dtmf("1"))
        await writer.flush()
        await command(clients.control, "CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
        outlet.append(Dtmf("2"))
        await writer.flush()
    assert [entry for _, entry in await content(clients.control)] == [Dtmf("1"), Dtmf("2")]
    assert fences.fenced == []


async def test_a_fence_in_a_lost_reply_is_found_by_the_next_entry(
    clients: RedisClients, proxy: TcpProxy, shaky_clients: RedisClients
) -> None:
    key, writer, fences = await make_stream(clients.control), StreamWriter(shaky_clients.media), Fences()
    await clients.control.xadd(key, {"e": encode(Dtmf("9"))}, id="9-1")
    outlet = fences.outlet(writer, key, 7)
    async with running(writer):
        proxy.lose_replies()
        outlet.append(Dtmf("1"))
        await writer.flush()
        outlet.append(Dtmf("2"))
        await writer.flush()
    assert fences.fenced == ["stream 7"]


async def test_a_server_that_refuses_writes_for_a_while_fences_no_call(clients: RedisClients) -> None:
    """A full memory or a replica after a failover is the server's state, not a lost call."""
    key, writer, fences = await make_stream(clients.control), StreamWriter(clients.media), Fences()
    outlet = fences.outlet(writer, key, 1)
    async with running(writer):
        await clients.control.config_set("maxmemory", "1")
        try:
            outlet.append(Dtmf("1"))
            flushing = asyncio.create_task(writer.flush())
            done, _ = await asyncio.wait({flushing}, timeout=0.2)
            assert not done
        finally:
            await clients.control.config_set("maxmemory", "0")
        await flushing
    assert fences.fenced == []
    assert [entry for _, entry in await content(clients.control)] == [Dtmf("1")]


async def test_an_outage_is_logged_once_with_its_end(
    clients: RedisClients, proxy: TcpProxy, shaky_clients: RedisClients, caplog: pytest.LogCaptureFixture
) -> None:
    key, writer, fences = await make_stream(clients.control), StreamWriter(shaky_clients.media), Fences()
    outlet = fences.outlet(writer, key, 1)
    with caplog.at_level(logging.INFO):
        async with running(writer):
            proxy.lose_replies(4)
            outlet.append(Dtmf("1"))
            await writer.flush()
    assert proxy.lost_replies > 1
    assert caplog.messages == ["stream write failing", "stream write recovered"]


async def test_oldest_entries_are_dropped_at_the_limit(clients: RedisClients) -> None:
    key, writer, fences = await make_stream(clients.control), StreamWriter(clients.media, max_waiting=10), Fences()
    outlet = fences.outlet(writer, key, 1)
    for n in range(25):
        outlet.append(Dtmf(str(n)))
    async with running(writer):
        await writer.flush()
    assert writer.dropped == 15
    assert await content(clients.control) == [(f"1-{n + 1}", Dtmf(str(n))) for n in range(15, 25)]
    assert fences.fenced == []


async def test_a_stream_keeps_a_few_seconds(clients: RedisClients) -> None:
    key, writer, fences = await make_stream(clients.control), StreamWriter(clients.media), Fences()
    outlet = fences.outlet(writer, key, 1)
    async with running(writer):
        for n in range(2000):
            outlet.append(Dtmf(str(n)))
        await writer.flush()
    assert MEDIA_STREAM_LENGTH <= await clients.control.xlen(key) <= MEDIA_STREAM_LENGTH + 200
    assert (await content(clients.control))[-1] == ("1-2000", Dtmf("1999"))


async def test_fewer_long_entries_are_kept(clients: RedisClients) -> None:
    key, writer, fences = await make_stream(clients.control), StreamWriter(clients.media), Fences()
    outlet = fences.outlet(writer, key, 1)
    async with running(writer):
        for _ in range(300):
            outlet.append(Audio("item", bytes(12_000)))
        await writer.flush()
    assert LONG_ENTRIES_KEPT <= await clients.control.xlen(key) <= LONG_ENTRIES_KEPT + TRIM_EVERY
    assert (await clients.control.memory_usage(key, samples=0) or 0) < 1.7 * 2**20


async def test_flush_waits_for_its_own_entries_only(clients: RedisClients) -> None:
    """Other calls that never pause must not keep a flush from ending."""
    key, writer, fences = await make_stream(clients.control), StreamWriter(clients.media), Fences()
    outlet = fences.outlet(writer, key, 1)
    enough = False

    def append_forever() -> None:
        outlet.append(Dtmf("0"))
        if not enough:
            asyncio.get_running_loop().call_soon(append_forever)

    append_forever()
    async with running(writer):
        outlet.append(Dtmf("1"))
        await asyncio.wait_for(writer.flush(), 10)
        enough = True


async def test_flush_without_entries_returns_at_once(clients: RedisClients) -> None:
    await asyncio.wait_for(StreamWriter(clients.media).flush(), 10)


async def test_flush_ends_when_the_writer_does(proxy: TcpProxy, shaky_clients: RedisClients) -> None:
    writer, fences = StreamWriter(shaky_clients.media), Fences()
    outlet = fences.outlet(writer, "stream", 1)
    proxy.silent = True
    async with running(writer):
        outlet.append(Dtmf("1"))
        flushing = asyncio.create_task(writer.flush())
        done, _ = await asyncio.wait({flushing}, timeout=0.05)
        assert not done
    await asyncio.wait_for(flushing, 10)
    await asyncio.wait_for(writer.flush(), 10)


async def test_a_writer_canceled_in_a_batch_resumes_it_in_the_next_run(
    clients: RedisClients, proxy: TcpProxy, shaky_clients: RedisClients
) -> None:
    key, writer, fences = await make_stream(clients.control), StreamWriter(shaky_clients.media), Fences()
    outlet = fences.outlet(writer, key, 1)
    async with running(writer):
        outlet.append(Dtmf("1"))
        await writer.flush()
        proxy.silent = True
        outlet.append(Dtmf("2"))

        async def written() -> bool:
            return await clients.control.xlen(key) == 3

        await eventually(written)
        outlet.append(Dtmf("3"))
    proxy.silent = False
    async with running(writer):
        await writer.flush()
    assert fences.fenced == []
    assert await content(clients.control) == [("1-1", Dtmf("1")), ("1-2", Dtmf("2")), ("1-3", Dtmf("3"))]
