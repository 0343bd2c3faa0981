"""Writers, readers and content of streams, for tests."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis

from bridge_common.redis.clients import command
from bridge_common.streams.reader import StreamReader
from bridge_common.streams.subscription import Sink
from bridge_common.streams.writer import Outlet, StreamWriter
from bridge_common.wire.entries import Dtmf, Entry, Opened
from bridge_common.wire.entry_codec import decode, encode


@asynccontextmanager
async def running(peer: StreamReader | StreamWriter) -> AsyncIterator[None]:
    task = asyncio.create_task(peer.run())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Listener:
    """Stream callbacks that record the received entries."""

    def __init__(self) -> None:
        self.heard: dict[str, list[str]] = defaultdict(list)
        self.ids: dict[str, list[str]] = defaultdict(list)

    def has(self, name: str, count: int) -> bool:
        return len(self.heard[name]) >= count

    def sink(self, name: str) -> Sink:
        def hear(entry_id: str, entry: Entry) -> None:
            assert isinstance(entry, Dtmf)
            self.ids[name].append(entry_id)
            self.heard[name].append(entry.tone)

        return hear


async def write(redis: Redis, key: str, first: int, count: int, epoch: int = 1) -> None:
    pipeline = redis.pipeline(transaction=False)
    for n in range(first, first + count):
        pipeline.xadd(key, {"e": encode(Dtmf(str(n)))}, id=f"{epoch}-{n + 1}")
    await pipeline.execute()


def tones(count: int, first: int = 0) -> list[str]:
    return [str(n) for n in range(first, count)]


async def publish(redis: Redis, key: str, epoch: int, seq: int) -> None:
    """Publish a wake-up notification as a writer does after the append of the entry `<epoch>-<seq>`."""
    await command(redis, "PUBLISH", key, b"%d-%d " % (epoch, seq) + encode(Dtmf(str(seq - 1))))


async def subscribers(redis: Redis, key: str) -> bool:
    return bool((await command(redis, "PUBSUB", "NUMSUB", key))[1])


async def make_stream(redis: Redis, key: str = "stream") -> str:
    await redis.xadd(key, {"e": encode(Opened())}, id="0-1")
    return key


async def content(redis: Redis, key: str = "stream") -> list[tuple[str, Entry | None]]:
    """Return all entries except the first one, `Opened`."""
    stored: list[tuple[bytes, dict[bytes, bytes]]] = await command(redis, "XRANGE", key, "-", "+")
    return [(entry_id.decode(), decode(fields[b"e"])) for entry_id, fields in stored][1:]


class Fences:
    """Records the names of the fenced outlets."""

    def __init__(self) -> None:
        self.fenced: list[str] = []

    def outlet(self, writer: StreamWriter, key: str, epoch: int, name: str = "") -> Outlet:
        return writer.outlet(key, epoch, lambda: self.fenced.append(name or f"{key} {epoch}"))
