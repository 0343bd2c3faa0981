"""What a reader takes from the channel of a stream, and what only the stream itself can tell, on a real server."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial

import pytest

from bridge_common.redis.clients import RedisClients, command, open_clients
from bridge_common.streams.reader import StreamReader
from bridge_common.wire.entries import Dtmf
from bridge_common.wire.entry_codec import encode
from tests.integration.support.stream_peers import Listener, running, subscribers, tell, tones, write
from tests.integration.support.tcp_proxy import TcpProxy
from tests.support.eventually import eventually
from tests.support.redis_user import port_of, redis_user


async def test_what_is_told_is_taken_without_a_look_at_the_stream(clients: RedisClients) -> None:
    """Here it is not even in the stream."""
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    await write(clients.control, "s", 0, 1)
    async with running(reader):
        await eventually(partial(listener.has, "s", 1))
        for seq in range(2, 50):
            await tell(clients.control, "s", 1, seq)
        await eventually(partial(listener.has, "s", 49))
    assert listener.heard["s"] == tones(49)
    assert listener.ids["s"][-1] == "1-49"


async def test_what_was_not_told_is_found_in_the_stream(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        for first in range(0, 40, 4):
            await write(clients.control, "s", first, 4)
            await tell(clients.control, "s", 1, first + 4)
        await eventually(partial(listener.has, "s", 40))
        # The last words: nothing after them tells that something is missing.
        await write(clients.control, "s", 40, 1)
        await eventually(partial(listener.has, "s", 41))
    assert listener.heard["s"] == tones(41)


async def test_nothing_is_handed_out_twice(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        for seq in range(1, 20):
            await write(clients.control, "s", seq - 1, 1)
            for again in (seq, seq - 1, 1, seq):
                await tell(clients.control, "s", 1, again)
            if seq % 5 == 0:
                await eventually(partial(listener.has, "s", seq))
        await eventually(partial(listener.has, "s", 19))
    assert listener.heard["s"] == tones(19)


async def test_a_writer_that_the_stream_refuses_is_not_heard_on_the_channel_either(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        await write(clients.control, "s", 0, 1, epoch=5)
        await tell(clients.control, "s", 5, 1)
        await eventually(partial(listener.has, "s", 1))
        # In one write, as the server sees them: the next writer, and the old one that does not know of it yet.
        pipeline = clients.control.pipeline(transaction=False)
        pipeline.xadd("s", {"e": encode(Dtmf("new"))}, id="6-1")
        pipeline.publish("s", b"6-1 " + encode(Dtmf("new")))
        for seq in range(2, 10):
            pipeline.publish("s", b"5-%d " % seq + encode(Dtmf("old")))
        pipeline.publish("s", b"6-1 " + encode(Dtmf("new")))
        await pipeline.execute()
        await eventually(partial(listener.has, "s", 2))
        await write(clients.control, "s", 1, 1, epoch=6)
        await tell(clients.control, "s", 5, 10)
        await eventually(partial(listener.has, "s", 3))
    assert listener.ids["s"] == ["5-1", "6-1", "6-2"]


async def test_what_is_no_entry_is_not_taken(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        await eventually(partial(subscribers, clients.control, "s"))
        for message in (b"", b"x", b"1-1", b"1-1 \xc1", b"- -", b"1-2 " + encode(Dtmf("9"))):
            await command(clients.control, "PUBLISH", "s", message)
        await write(clients.control, "s", 0, 3)
        await eventually(partial(listener.has, "s", 3))
    assert listener.heard["s"] == tones(3)


async def test_a_reader_that_was_cut_off_is_told_again(
    clients: RedisClients, proxy: TcpProxy, shaky_clients: RedisClients
) -> None:
    reader, listener = StreamReader(shaky_clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        for first in range(0, 30, 3):
            await eventually(partial(subscribers, clients.control, "s"))
            await write(clients.control, "s", first, 1)
            await tell(clients.control, "s", 1, first + 1)
            await eventually(partial(listener.has, "s", first + 1))
            proxy.cut()
            await write(clients.control, "s", first + 1, 1)
            await tell(clients.control, "s", 1, first + 2)
            await eventually(partial(listener.has, "s", first + 2))
            # Found in the stream; what follows is taken as it is told.
            await eventually(partial(subscribers, clients.control, "s"))
            await tell(clients.control, "s", 1, first + 3)
            await eventually(partial(listener.has, "s", first + 3))
            await write(clients.control, "s", first + 2, 1)
    assert listener.heard["s"] == tones(30)


async def test_a_user_who_may_not_unsubscribe_loses_no_read(
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


async def test_a_removed_stream_is_not_listened_to(clients: RedisClients) -> None:
    reader, listener = StreamReader(clients.blocking), Listener()
    reader.add("s", "0-0", listener.sink("s"))
    async with running(reader):
        await eventually(partial(subscribers, clients.control, "s"))
        reader.remove("s")

        async def nobody() -> bool:
            return not await subscribers(clients.control, "s")

        await eventually(nobody)
        reader.add("s", "0-0", listener.sink("s"))
        await eventually(partial(subscribers, clients.control, "s"))
        await write(clients.control, "s", 0, 1)
        await eventually(partial(listener.has, "s", 1))


async def test_who_may_not_subscribe_reads_all_the_same(
    clients: RedisClients, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await command(clients.control, "ACL", "SETUSER", "deaf", "on", ">secret", "~*", "resetchannels", "+@all")
    deaf = open_clients(redis_url.replace("redis://", "redis://deaf:secret@"))
    reader, listener = StreamReader(deaf.blocking), Listener()
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
        await deaf.aclose()
        await command(clients.control, "ACL", "DELUSER", "deaf")
    assert listener.heard == {"s": tones(51), "t": tones(50)}
    assert caplog.messages == ["SUBSCRIBE refused; polling instead"]


async def test_a_stream_is_silent_while_redis_answers_and_nothing_comes(
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
        await eventually(lambda: reader.silent_s("s") == 0, what="Redis is away")
        proxy.silent = False
        await eventually(lambda: reader.silent_s("s") > 0.1)
        await tell(clients.control, "s", 1, 2)
        await eventually(partial(listener.has, "s", 2))
        await eventually(lambda: reader.silent_s("s") == 0)
    assert reader.silent_s("another") == 0
