"""The reading end of the media streams: many calls with one XREAD, each entry handed to its call's sink in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bridge_common.entries import FIELD, Entry, decode
from bridge_common.errors import EntryError
from bridge_common.keys import READER_STREAMS
from bridge_common.log import fields
from bridge_common.redis_clients import command

log = logging.getLogger(__name__)

Sink: TypeAlias = Callable[[str, Entry], None]
"""Called with an entry's id and the entry, in the order of the stream. Must not block."""
Fields: TypeAlias = Mapping[bytes, bytes]
Reply: TypeAlias = Mapping[bytes, Sequence[Sequence[tuple[bytes, Fields | None]]]]

_BEAT_S: Final = 0.004
"""Under load a read waits this long after the one before it: fuller replies, for at most 4 ms of delay."""
_BLOCK_MS: Final = 40
"""A stream added while a read is blocked is seen after this time at the latest."""
_COUNT: Final = 64
_RETRY_S: Final = 0.05


async def xread(redis: Redis, cursors: Mapping[str, str], *, count: int, block_ms: int) -> Reply | None:
    """One XREAD. redis-py's own method is annotated for all protocols at once; ours speak RESP3 with byte replies."""
    reply: Reply | None = await command(
        redis, "XREAD", "COUNT", count, "BLOCK", block_ms, "STREAMS", *cursors.keys(), *cursors.values()
    )
    return reply


def entries_of(reply: Reply | None) -> Iterator[tuple[str, str, Fields]]:
    """The (key, entry id, fields) of an XREAD or XREADGROUP reply in RESP3, without deleted entries."""
    for key, batches in (reply or {}).items():
        for batch in batches:
            for entry_id, content in batch:
                if content is not None:
                    yield key.decode(), entry_id.decode(), content


class StreamReader:
    """All streams a process reads. `run` reads until cancelled; streams may be added and removed at any time."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._parts: list[_Part] = []
        self._tasks: asyncio.TaskGroup | None = None
        self.bad_entries = 0

    def add(self, key: str, cursor: str, sink: Sink) -> None:
        """Read the stream from after `cursor` (an entry id; `0-0` for the beginning)."""
        part = min(self._parts, key=len, default=None)
        if part is None or len(part) >= READER_STREAMS:
            part = _Part(self._redis)
            self._parts.append(part)
            if self._tasks is not None:
                part.task = self._tasks.create_task(part.run())
        part.add(key, cursor, sink)

    def remove(self, key: str) -> None:
        for part in self._parts:
            part.remove(key)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for part in self._parts:
                part.task = tasks.create_task(part.run())
            await asyncio.Event().wait()


class _Part:
    """Up to `READER_STREAMS` streams on one connection."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._cursors: dict[str, str] = {}
        self._sinks: dict[str, Sink] = {}
        self._something = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._sinks)

    def add(self, key: str, cursor: str, sink: Sink) -> None:
        self._cursors[key] = cursor
        self._sinks[key] = sink
        self._something.set()

    def remove(self, key: str) -> None:
        self._sinks.pop(key, None)
        self._cursors.pop(key, None)

    async def run(self) -> None:
        while True:
            if not self._cursors:
                self._something.clear()
                await self._something.wait()
            began = time.monotonic()
            try:
                reply = await xread(self._redis, self._cursors, count=_COUNT, block_ms=_BLOCK_MS)
            except (RedisError, OSError) as error:
                log.warning("stream read failed", extra=fields(streams=len(self), error=str(error)))
                await asyncio.sleep(_RETRY_S)
                continue
            self._hand_out(reply)
            rest = _BEAT_S - (time.monotonic() - began)
            if rest > 0:
                await asyncio.sleep(rest)

    def _hand_out(self, reply: Reply | None) -> None:
        for key, entry_id, content in entries_of(reply):
            sink = self._sinks.get(key)
            if sink is None:
                continue
            self._cursors[key] = entry_id
            try:
                entry = decode(content.get(FIELD, b""))
                if entry is not None:
                    sink(entry_id, entry)
            except EntryError as error:
                log.warning("bad entry skipped", extra=fields(key=key, entry_id=entry_id, error=error.message))
            except Exception:
                # One call's fault must not stop the reading of all others.
                log.exception("sink failed", extra=fields(key=key, entry_id=entry_id))
