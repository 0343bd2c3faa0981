"""The reader on a real server: order, many streams, faults, adding and removing streams while it runs."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from bridge_common.redis.clients import RedisClients, command
from bridge_common.streams.reader import StreamReader
from bridge_common.wire.entries import Dtmf, Entry
from bridge_common.wire.entry_codec import encode
from bridge_common.wire.keys import READER_STREAMS
from tests.integration.support.stream_peers import Listener, running, subscribers, tones, write
from tests.integration.support.tcp_proxy import TcpProxy
from tests.support.eventually import eventually


async def test_a_stream_is_read_from_its_cursor_in_order(clients: RedisClients) -> None:
    await write(clients.control, "s", 0, 300)
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "1-100", listener.sink("s"))
    async with running(reader):
        await eventually(lambda: len(listener.heard["s"]) >= 200)
        await write(clients.control, "s", 300, 10)
        await eventually(lambda: len(listener.heard["s"]) >= 210)
    assert listener.heard["s"] == tones(310, first=100)
    assert listener.ids["s"][0] == "1-101"


async def test_two_hundred_streams_over_several_connections(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    names = [f"s{n}" for n in range(200)]
    for name in names[:100]:
        reader.add(name, "0-0", listener.sink(name))
    async with running(reader):
        for first in range(0, 30, 10):
            for name in names:
                await write(clients.control, name, first, 10)
            for name in names[100 + first * 3 : 130 + first * 3]:
                reader.add(name, "0-0", listener.sink(name))
        for name in names[190:]:
            reader.add(name, "0-0", listener.sink(name))
        await eventually(lambda: all(len(listener.heard[name]) == 30 for name in names), within_s=10)
    assert all(listener.heard[name] == tones(30) for name in names)
    assert len(names) > READER_STREAMS * 3


async def test_a_reader_without_streams_waits_for_the_first(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    async with running(reader):
        for round_ in range(3):
            name = f"s{round_}"
            await write(clients.control, name, 0, 1)
            reader.add(name, "0-0", listener.sink(name))
            await eventually(partial(listener.has, name, 1))
            reader.remove(name)


async def test_entries_of_a_removed_stream_are_not_delivered(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("gone", "0-0", listener.sink("gone"))
    reader.add("stays", "0-0", listener.sink("stays"))
    async with running(reader):
        await write(clients.control, "gone", 0, 1)
        await eventually(lambda: listener.heard["gone"])
        reader.remove("gone")
        await write(clients.control, "gone", 1, 5)
        await write(clients.control, "stays", 0, 5)
        await eventually(lambda: len(listener.heard["stays"]) == 5)
    assert listener.heard["gone"] == ["0"]


async def test_a_sink_may_remove_its_own_stream(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    heard: list[str] = []

    def first_only(entry_id: str, _: Entry) -> None:
        heard.append(entry_id)
        reader.remove("s")

    await write(clients.control, "s", 0, 10)
    reader.add("s", "0-0", first_only)
    reader.add("other", "0-0", listener.sink("other"))
    async with running(reader):
        await write(clients.control, "other", 0, 1)
        await eventually(lambda: listener.heard["other"] and heard)
    assert heard == ["1-1"]


async def test_removing_a_stream_that_is_not_read_does_nothing(clients: RedisClients) -> None:
    StreamReader(clients.blocking).remove("nothing")


async def test_a_stream_added_again_is_read_once(clients: RedisClients) -> None:
    """This holds even if both subscriptions would be on different connections."""
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("first"))
    for n in range(READER_STREAMS):
        reader.add(f"filler{n}", "0-0", listener.sink("filler"))
    reader.remove("filler5")
    reader.add("s", "0-0", listener.sink("second"))
    async with running(reader):
        await write(clients.control, "s", 0, 20)
        await eventually(lambda: len(listener.heard["second"]) == 20)
        await write(clients.control, "filler0", 0, 1)
        await eventually(lambda: listener.heard["filler"])
    assert listener.heard["first"] == []
    assert listener.heard["second"] == tones(20)


async def test_a_read_in_progress_does_not_move_the_cursor_of_a_stream_added_again(
    clients: RedisClients, proxy: TcpProxy, shaky_clients: RedisClients
) -> None:
    reader, listener = StreamReader(shaky_clients.blocking), Listener()
    await write(clients.control, "s", 0, 10)
    reader.add("s", "1-10", listener.sink("first"))

    async with running(reader):
        await eventually(partial(subscribers, clients.control, "s"))
        proxy.silent = True
        await write(clients.control, "s", 10, 5)
        reader.add("s", "0-0", listener.sink("second"))
        proxy.silent = False
        await eventually(lambda: len(listener.heard["second"]) >= 15)
    assert listener.heard["second"] == tones(15)
    assert listener.heard["first"] == []


async def test_failing_reads_lose_no_entry_and_keep_the_order(
    clients: RedisClients, proxy: TcpProxy, shaky_clients: RedisClients
) -> None:
    reader, listener = StreamReader(shaky_clients.blocking), Listener()
    names = [f"s{n}" for n in range(3)]
    for name in names:
        reader.add(name, "0-0", listener.sink(name))
    async with running(reader):
        for first in range(0, 200, 10):
            for name in names:
                await write(clients.control, name, first, 10)
            if first % 40 == 0:
                proxy.lose_replies()
            if first % 40 == 20:
                proxy.cut()
            await eventually(partial(listener.has, "s0", first))
        await eventually(lambda: all(len(listener.heard[name]) >= 200 for name in names))
    assert all(listener.heard[name] == tones(200) for name in names)
    assert proxy.lost_replies == 5


async def test_reading_continues_after_the_server_kills_the_clients(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        for first in range(0, 50, 10):
            await write(clients.control, "s", first, 10)
            await command(clients.control, "CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
        await eventually(lambda: len(listener.heard["s"]) >= 50)
    assert listener.heard["s"] == tones(50)


async def test_an_outage_is_logged_once_with_its_end(
    clients: RedisClients, proxy: TcpProxy, shaky_clients: RedisClients, caplog: pytest.LogCaptureFixture
) -> None:
    reader, listener = StreamReader(shaky_clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        proxy.refusing = True
        proxy.cut()
        await write(clients.control, "s", 0, 100)
        await eventually(lambda: caplog.messages)
        proxy.refusing = False
        await eventually(lambda: len(listener.heard["s"]) >= 100)
    assert listener.heard["s"] == tones(100)
    assert caplog.messages == ["stream read failing", "stream read recovered"]


async def test_bad_entries_are_skipped_and_counted(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    await clients.control.xadd("s", {"e": b"\xc1"}, id="1-1")
    await clients.control.xadd("s", {"other": b"1"}, id="1-2")
    await clients.control.xadd("s", {"e": encode(Dtmf("1"))}, id="1-3")
    await clients.control.xadd("s", {"e": b"\x92\xcd\x03\xe7\x01"}, id="1-4")
    await clients.control.xadd("s", {"e": encode(Dtmf("2"))}, id="1-5")
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        await eventually(lambda: len(listener.heard["s"]) == 2)
    assert listener.heard["s"] == ["1", "2"]
    assert reader.bad_entries == 2


async def test_a_failing_sink_affects_no_other_call(clients: RedisClients, caplog: pytest.LogCaptureFixture) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    failures: list[str] = []

    def fail(entry_id: str, _: Entry) -> None:
        failures.append(entry_id)
        raise RuntimeError("somebody's fault")

    reader.add("bad", "0-0", fail)
    reader.add("good", "0-0", listener.sink("good"))
    await write(clients.control, "bad", 0, 3)
    await write(clients.control, "good", 0, 3)
    async with running(reader):
        await eventually(lambda: len(listener.heard["good"]) == 3 and len(failures) == 3)
    assert failures == ["1-1", "1-2", "1-3"]
    assert caplog.messages.count("failed to process stream entry") == 3


async def test_a_key_of_another_type_affects_no_other_call(
    clients: RedisClients, caplog: pytest.LogCaptureFixture
) -> None:
    await clients.control.set("text", "1")
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("text", "0-0", listener.sink("text"))
    reader.add("good", "0-0", listener.sink("good"))
    await write(clients.control, "good", 0, 3)
    async with running(reader):
        await eventually(lambda: len(listener.heard["good"]) == 3)
    assert "stream read rejected; no longer reading the stream" in caplog.messages


@pytest.mark.parametrize("cursor", ["$", ">", "", "now", "1-", "1-1-1", "-1"])
async def test_a_cursor_has_to_be_an_entry_id(clients: RedisClients, cursor: str) -> None:
    with pytest.raises(ValueError, match="is not an entry id"):
        StreamReader(clients.blocking).add("s", cursor, lambda *_: None)


async def test_streams_may_be_added_after_the_end(clients: RedisClients) -> None:
    """A call that arrives while the process stops must not raise."""
    reader, listener = StreamReader(clients.blocking), Listener()
    async with running(reader):
        await asyncio.sleep(0)
    for n in range(READER_STREAMS + 1):
        reader.add(f"s{n}", "0-0", listener.sink("s"))
    await write(clients.control, "s64", 0, 1)
    async with running(reader):
        await eventually(lambda: listener.heard["s"])
