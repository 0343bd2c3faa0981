"""Entries that a reader takes from the channel of a stream, and those that it has to read, on a real server."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial

import pytest

from bridge_common.redis.clients import RedisClients, command, open_clients
from bridge_common.streams.reader import StreamReader
from bridge_common.wire.entries import Dtmf
from bridge_common.wire.entry_codec import encode
from tests.integration.support.stream_peers import Listener, publish, running, subscribers, tones, write
from tests.integration.support.tcp_proxy import TcpProxy
from tests.support.eventually import eventually
from tests.support.redis_user import port_of, redis_user


async def test_published_entries_are_taken_without_reading_the_stream(clients: RedisClients) -> None:
    """In this test the entries are not even in the stream."""
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    await write(clients.control, "s", 0, 1)
    async with running(reader):
        await eventually(partial(listener.has, "s", 1))
        for seq in range(2, 50):
            await publish(clients.control, "s", 1, seq)
        await eventually(partial(listener.has, "s", 49))
    assert listener.heard["s"] == tones(49)
    assert listener.ids["s"][-1] == "1-49"


async def test_unpublished_entries_are_found_in_the_stream(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        for first in range(0, 40, 4):
            await write(clients.control, "s", first, 4)
            await publish(clients.control, "s", 1, first + 4)
        await eventually(partial(listener.has, "s", 40))
        # The last entry: no later publication shows that one is missing.
        await write(clients.control, "s", 40, 1)
        await eventually(partial(listener.has, "s", 41))
    assert listener.heard["s"] == tones(41)


async def test_no_entry_is_delivered_twice(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        for seq in range(1, 20):
            await write(clients.control, "s", seq - 1, 1)
            for again in (seq, seq - 1, 1, seq):
                await publish(clients.control, "s", 1, again)
            if seq % 5 == 0:
                await eventually(partial(listener.has, "s", seq))
        await eventually(partial(listener.has, "s", 19))
    assert listener.heard["s"] == tones(19)


async def test_publications_of_a_fenced_writer_are_ignored(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        await write(clients.control, "s", 0, 1, epoch=5)
        await publish(clients.control, "s", 5, 1)
        await eventually(partial(listener.has, "s", 1))
        # In one write, as the server receives them: the next writer, and the old one, which is not notified yet.
        pipeline = clients.control.pipeline(transaction=False)
        pipeline.xadd("s", {"e": encode(Dtmf("new"))}, id="6-1")
        pipeline.publish("s", b"6-1 " + encode(Dtmf("new")))
        for seq in range(2, 10):
            pipeline.publish("s", b"5-%d " % seq + encode(Dtmf("old")))
        pipeline.publish("s", b"6-1 " + encode(Dtmf("new")))
        await pipeline.execute()
        await eventually(partial(listener.has, "s", 2))
        await write(clients.control, "s", 1, 1, epoch=6)
        await publish(clients.control, "s", 5, 10)
        await eventually(partial(listener.has, "s", 3))
    assert listener.ids["s"] == ["5-1", "6-1", "6-2"]


async def test_messages_that_are_no_entries_are_ignored(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        await eventually(partial(subscribers, clients.control, "s"))
        for message in (b"", b"x", b"1-1", b"1-1 \xc1", b"- -", b"1-2 " + encode(Dtmf("9"))):
            await command(clients.control, "PUBLISH", "s", message)
        await write(clients.control, "s", 0, 3)
        await eventually(partial(listener.has, "s", 3))
    assert listener.heard["s"] == tones(3)


async def test_a_reader_subscribes_again_after_a_lost_connection(
    clients: RedisClients, proxy: TcpProxy, shaky_clients: RedisClients
) -> None:
    reader, listener = StreamReader(shaky_clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        for first in range(0, 30, 3):
            await eventually(partial(subscribers, clients.control, "s"))
            await write(clients.control, "s", first, 1)
            await publish(clients.control, "s", 1, first + 1)
            await eventually(partial(listener.has, "s", first + 1))
            proxy.cut()
            await write(clients.control, "s", first + 1, 1)
            await publish(clients.control, "s", 1, first + 2)
            await eventually(partial(listener.has, "s", first + 2))
            # Found in the stream; the next one is taken from the channel.
            await eventually(partial(subscribers, clients.control, "s"))
            await publish(clients.control, "s", 1, first + 3)
            await eventually(partial(listener.has, "s", first + 3))
            await write(clients.control, "s", first + 2, 1)
    assert listener.heard["s"] == tones(30)


async def test_a_user_without_unsubscribe_loses_no_entry(
    clients: RedisClients, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_user(port_of(redis_url), "~*", "&*", "+@all", "-unsubscribe") as user:
        async with aclosing(open_clients(user.url)) as limited:
            reader, listener = StreamReader(limited.blocking), Listener()
            for name in ("s", "t"):
                reader.add(name, "0-0", listener.sink(name))
            async with running(reader):
                await eventually(partial(subscribers, clients.control, "t"))
                for count in range(10):
                    reader.remove("t")
                    await write(clients.control, "s", count, 1)
                    await eventually(partial(listener.has, "s", count + 1))
                    reader.add("t", "0-0", listener.sink("t"))
                await write(clients.control, "t", 0, 1)
                await eventually(partial(listener.has, "t", 1))
        assert "unsubscribe" in user.refused()
    assert "stream read failing" not in caplog.messages
    assert caplog.messages.count("SUBSCRIBE refused; polling instead") == 1


async def test_a_removed_stream_is_unsubscribed(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        await eventually(partial(subscribers, clients.control, "s"))
        reader.remove("s")

        async def unsubscribed() -> bool:
            return not await subscribers(clients.control, "s")

        await eventually(unsubscribed)
        reader.add("s", "0-0", listener.sink("s"))
        await eventually(partial(subscribers, clients.control, "s"))
        await write(clients.control, "s", 0, 1)
        await eventually(partial(listener.has, "s", 1))


async def test_a_user_without_channels_polls_the_streams(
    clients: RedisClients, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await command(clients.control, "ACL", "SETUSER", "limited", "on", ">secret", "~*", "resetchannels", "+@all")
    limited = open_clients(redis_url.replace("redis://", "redis://limited:secret@"))
    reader, listener = StreamReader(limited.blocking), Listener()
    for name in ("s", "t"):
        reader.add(name, "0-0", listener.sink(name))
    try:
        async with running(reader):
            for first in range(0, 50, 5):
                await write(clients.control, "s", first, 5)
                await write(clients.control, "t", first, 5)
                await eventually(partial(listener.has, "t", first + 5))
            await eventually(partial(listener.has, "s", 50))
            reader.remove("t")
            await write(clients.control, "s", 50, 1)
            await eventually(partial(listener.has, "s", 51))
    finally:
        await limited.aclose()
        await command(clients.control, "ACL", "DELUSER", "limited")
    assert listener.heard == {"s": tones(51), "t": tones(50)}
    assert caplog.messages == ["SUBSCRIBE refused; polling instead"]


async def test_silence_is_measured_while_redis_answers_without_entries(
    clients: RedisClients, proxy: TcpProxy, shaky_clients: RedisClients
) -> None:
    reader, listener = StreamReader(shaky_clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    assert reader.silent_s("s") == 0
    async with running(reader):
        await write(clients.control, "s", 0, 1)
        await eventually(partial(listener.has, "s", 1))
        assert reader.silent_s("s") < 0.1
        await eventually(lambda: reader.silent_s("s") > 0.3)
        proxy.silent = True
        await eventually(lambda: reader.silent_s("s") == 0, what="Redis is unreachable")
        proxy.silent = False
        await eventually(lambda: reader.silent_s("s") > 0.1)
        await publish(clients.control, "s", 1, 2)
        await eventually(partial(listener.has, "s", 2))
        await eventually(lambda: reader.silent_s("s") == 0)
    assert reader.silent_s("another") == 0
