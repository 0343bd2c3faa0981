"""What an entry of 20 ms audio costs on its way through Redis: our writer and reader beside redis-py's own commands.

As many streams as a busy process has, each with an entry every 20 ms, on a real server. CPU of this process alone: once
for appending, once for appending and reading; the difference is the reading. Redis' own CPU is in the whole system's
figures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeAlias

from bench.event_loop import new_event_loop
from bench.table import Cell, Table
from bridge_common.redis.clients import RedisClients, open_clients
from bridge_common.streams.reader import StreamReader
from bridge_common.streams.stream_entries import entries_of, xread
from bridge_common.streams.writer import StreamWriter
from bridge_common.wire.entries import AudioFrame, Entry
from bridge_common.wire.entry_codec import encode
from bridge_common.wire.keys import MEDIA_STREAM_LENGTH, Keys
from lab.redis_server import redis_server

STREAMS: Final = 40
SECONDS: Final = 2.0
_BEAT_S: Final = 0.02
_ARRIVAL_S: Final = 0.5
_FRAME: Final = AudioFrame(bytes(range(240)) * 4)

Append: TypeAlias = Callable[[int], Awaitable[None]]
"""Appends one entry to each stream; takes the number of the beat."""
Heard: TypeAlias = Callable[[], int]
"""How many entries were read so far."""
Way: TypeAlias = Callable[[RedisClients, Sequence[str], bool], AbstractAsyncContextManager[tuple[Append, Heard]]]
"""Of writing, and of reading if the last argument says so."""


def measure(repeats: int) -> list[Table]:
    rounds = max(1, min(3, repeats))
    with redis_server() as url, asyncio.Runner(loop_factory=new_event_loop) as runner:
        rows = [runner.run(_row(url, name, way, rounds)) for name, way in WAYS.items()]
    notes = (
        f"CPU µs an entry: {STREAMS} streams, an entry of 20 ms in each every 20 ms, the best of {rounds} rounds.",
    )
    return [Table("Streams", ["", "append", "read"], rows, notes)]


async def _row(url: str, name: str, way: Way, rounds: int) -> list[Cell]:
    append = min([await _cpu_us(url, way, read=False) for _ in range(rounds)])
    both = min([await _cpu_us(url, way, read=True) for _ in range(rounds)])
    return [name, append, max(0.0, both - append)]


async def _cpu_us(url: str, way: Way, *, read: bool) -> float:
    """Of one entry. Raises `RuntimeError` when not all of them arrived."""
    clients, keys = open_clients(url), [Keys().uplink(f"bench-{number}") for number in range(STREAMS)]
    beats = int(SECONDS / _BEAT_S)
    try:
        for key in keys:
            await clients.control.delete(key)
            await clients.control.xadd(key, {"e": b""}, id="0-1")
        async with way(clients, keys, read) as (append, heard):
            cpu_before, due = time.process_time(), time.monotonic()
            for beat in range(beats):
                await append(beat)
                due += _BEAT_S
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            await asyncio.sleep(_ARRIVAL_S)
            cpu_s = time.process_time() - cpu_before
            if read and heard() != beats * STREAMS:
                raise RuntimeError(f"{heard()} of {beats * STREAMS} entries arrived")
    finally:
        await clients.aclose()
    return cpu_s / (beats * STREAMS) * 1e6


@asynccontextmanager
async def ours(clients: RedisClients, keys: Sequence[str], read: bool) -> AsyncIterator[tuple[Append, Heard]]:
    writer, reader = StreamWriter(clients.media), StreamReader(clients.blocking)
    outlets = [writer.outlet(key, 1, lambda: None) for key in keys]
    heard = 0

    def take(_entry_id: str, _entry: Entry) -> None:
        nonlocal heard
        heard += 1

    async def append(_beat: int) -> None:
        for outlet in outlets:
            outlet.append(_FRAME)

    for key in keys if read else ():
        reader.add(key, "0-1", take)
    async with _running(writer.run(), *([reader.run()] if read else [])):
        yield append, lambda: heard


@asynccontextmanager
async def redis_py(clients: RedisClients, keys: Sequence[str], read: bool) -> AsyncIterator[tuple[Append, Heard]]:
    """One pipeline a beat, one XREAD over all streams."""
    heard = 0

    async def append(beat: int) -> None:
        pipeline = clients.media.pipeline(transaction=False)
        for key in keys:
            fields: Any = {"e": encode(_FRAME)}
            pipeline.xadd(key, fields, f"1-{beat + 1}", maxlen=MEDIA_STREAM_LENGTH, nomkstream=True)
        await pipeline.execute()

    async def reading() -> None:
        nonlocal heard
        cursors = dict.fromkeys(keys, "0-1")
        while True:
            reply = await xread(clients.blocking, cursors, count=100, block_ms=500)
            for key, entry_id, _fields in entries_of(reply):
                cursors[key] = entry_id
                heard += 1

    async with _running(*([reading()] if read else [])):
        yield append, lambda: heard


WAYS: Final[dict[str, Way]] = {
    "our writer and reader": ours,
    "redis-py: a pipeline a beat, one XREAD": redis_py,
}


@asynccontextmanager
async def _running(*programs: Coroutine[None, None, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(program) for program in programs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
