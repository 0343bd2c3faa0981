"""A writer tells of each entry behind its append; who may not tell writes all the same."""

from __future__ import annotations

from functools import partial

from bridge_common.redis.clients import RedisClients, command, open_clients
from bridge_common.redis.pipeline import RedisPipeline, pack
from bridge_common.streams.writer import StreamWriter
from bridge_common.wire.entries import Audio, Dtmf
from bridge_common.wire.entry_codec import encode
from tests.integration.support.stream_peers import Fences, content, make_stream, running, subscribers
from tests.support.eventually import eventually


async def test_who_reads_is_told_of_each_entry_behind_its_append(clients: RedisClients) -> None:
    writer, fences = StreamWriter(clients.media), Fences()
    outlets = [fences.outlet(writer, await make_stream(clients.control, f"s{n}"), 7) for n in range(3)]
    told: dict[bytes, list[bytes]] = {b"s0": [], b"s1": []}
    wire = await RedisPipeline.open(clients.blocking, print, lambda channel, message: told[channel].append(message))
    for n in range(2):
        wire.send(pack("SUBSCRIBE", f"s{n}"))
    await eventually(partial(subscribers, clients.control, "s1"))
    async with running(writer):
        for tone in "123":
            for outlet in outlets:
                outlet.append(Dtmf(tone))
            outlets[0].append(Audio("item", bytes(12_000)))
            await writer.flush()
        await eventually(lambda: (len(told[b"s0"]), len(told[b"s1"])) == (6, 3))
    wire.abort()
    for n in range(2):
        stored = await content(clients.control, f"s{n}")
        assert told[b"s%d" % n] == [entry_id.encode() + b" " + encode(entry) for entry_id, entry in stored if entry]
    assert fences.fenced == []


async def test_who_may_not_tell_writes_all_the_same(clients: RedisClients, redis_url: str) -> None:
    await command(clients.control, "ACL", "SETUSER", "mute", "on", ">secret", "~*", "resetchannels", "+@all")
    mute = open_clients(redis_url.replace("redis://", "redis://mute:secret@"))
    key, writer, fences = await make_stream(clients.control), StreamWriter(mute.media), Fences()
    old, new = fences.outlet(writer, key, 7), fences.outlet(writer, key, 8)
    try:
        async with running(writer):
            old.append(Dtmf("1"))
            await writer.flush()
            new.append(Dtmf("2"))
            old.append(Dtmf("3"))
            await writer.flush()
            assert fences.fenced == ["stream 7"]
    finally:
        await mute.aclose()
        await command(clients.control, "ACL", "DELUSER", "mute")
    assert await content(clients.control) == [("7-1", Dtmf("1")), ("8-1", Dtmf("2"))]
