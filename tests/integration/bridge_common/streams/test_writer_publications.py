"""A writer publishes each entry after its append; a user without channels writes without publishing."""

from __future__ import annotations

from functools import partial

from bridge_common.redis.clients import RedisClients, command, open_clients
from bridge_common.redis.pipeline import RedisPipeline, pack
from bridge_common.streams.writer import StreamWriter
from bridge_common.wire.entries import Audio, Dtmf
from bridge_common.wire.entry_codec import encode
from tests.integration.support.stream_peers import Fences, content, make_stream, running, subscribers
from tests.support.eventually import eventually


async def test_each_entry_is_published_after_its_append(clients: RedisClients) -> None:
    writer, fences = StreamWriter(clients.media), Fences()
    outlets = [fences.outlet(writer, await make_stream(clients.control, f"s{n}"), 7) for n in range(3)]
    published: dict[bytes, list[bytes]] = {b"s0": [], b"s1": []}
    wire = await RedisPipeline.open(
        clients.blocking, print, lambda channel, message: published[channel].append(message)
    )
    for n in range(2):
        wire.send(pack("SUBSCRIBE", f"s{n}"))
    await eventually(partial(subscribers, clients.control, "s1"))
    async with running(writer):
        for tone in "123":
            for outlet in outlets:
                outlet.append(Dtmf(tone))
            outlets[0].append(Audio("item", bytes(12_000)))
            await writer.flush()
        await eventually(lambda: (len(published[b"s0"]), len(published[b"s1"])) == (6, 3))
    wire.abort()
    for n in range(2):
        stored = await content(clients.control, f"s{n}")
        assert published[b"s%d" % n] == [
            entry_id.encode() + b" " + encode(entry) for entry_id, entry in stored if entry
        ]
    assert fences.fenced == []


async def test_a_user_without_channels_writes_without_publishing(clients: RedisClients, redis_url: str) -> None:
    await command(clients.control, "ACL", "SETUSER", "limited", "on", ">secret", "~*", "resetchannels", "+@all")
    limited = open_clients(redis_url.replace("redis://", "redis://limited:secret@"))
    key, writer, fences = await make_stream(clients.control), StreamWriter(limited.media), Fences()
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
        await limited.aclose()
        await command(clients.control, "ACL", "DELUSER", "limited")
    assert await content(clients.control) == [("7-1", Dtmf("1")), ("8-1", Dtmf("2"))]
