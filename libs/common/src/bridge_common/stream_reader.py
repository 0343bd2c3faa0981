"""The reading end of the media streams: many calls with one XREAD, each entry handed to its call's sink in order."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from bridge_common.entries import FIELD, Entry, decode
from bridge_common.errors import EntryError
from bridge_common.keys import READER_STREAMS
from bridge_common.log import fields
from bridge_common.redis_clients import command, is_passing

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
_COUNT_AFTER_FAILURE: Final = 4
"""Entries a stream after a failed read: a reply too large for the time-out would otherwise fail for ever."""
_RETRY_S: Final = 0.05
_ENTRY_ID: Final = re.compile(r"\d+(-\d+)?")


async def xread(redis: Redis, cursors: Mapping[str, str], *, count: int, block_ms: int) -> Reply | None:
    """One XREAD. redis-py's own method is annotated for all protocols at once; ours speak RESP3 with byte replies."""
    # BLOCK 0 would mean for ever.
    reply: Reply | None = await command(
        redis, "XREAD", "COUNT", count, "BLOCK", max(block_ms, 1), "STREAMS", *cursors.keys(), *cursors.values()
    )
    return reply


def entries_of(reply: Reply | None) -> Iterator[tuple[str, str, Fields]]:
    """The (key, entry id, fields) of an XREAD or XREADGROUP reply in RESP3, without deleted entries."""
    for key, batches in (reply or {}).items():
        for batch in batches:
            for entry_id, content in batch:
                if content is not None:
                    yield key.decode(), entry_id.decode(), content


def decode_fields(content: Fields) -> Entry | None:
    """The entry in what a stream stores, or None for a kind of a newer version. Raises `EntryError`."""
    return decode(content.get(FIELD, b""))


class StreamReader:
    """All streams a process reads. `run` reads until cancelled; streams may be added and removed at any time."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._parts: list[_Part] = []
        self._tasks: asyncio.TaskGroup | None = None
        self.bad_entries = 0

    def add(self, key: str, cursor: str, sink: Sink) -> None:
        """Read the stream from after `cursor` (an entry id; `0-0` for the beginning), instead of before, if it was.

        Raises `ValueError` for a cursor that is no entry id: `$` would lose what comes between two reads.
        """
        if not _ENTRY_ID.fullmatch(cursor):
            raise ValueError(f"a cursor is an entry id, not {cursor!r}")
        self.remove(key)
        part = min(self._parts, key=len, default=None)
        if part is None or len(part) >= READER_STREAMS:
            part = _Part(self._redis, self._count_bad_entry)
            self._parts.append(part)
            if self._tasks is not None:
                self._tasks.create_task(part.run())
        part.add(key, cursor, sink)

    def remove(self, key: str) -> None:
        """Hand out nothing of this stream any more, not even of a read that is under way."""
        for part in self._parts:
            part.remove(key)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for part in self._parts:
                tasks.create_task(part.run())
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None

    def _count_bad_entry(self) -> None:
        self.bad_entries += 1


@dataclass(slots=True, eq=False)
class _Subscription:
    """One reading of a stream: another one of the same key is not this one."""

    cursor: str
    sink: Sink


class _Part:
    """Up to `READER_STREAMS` streams on one connection."""

    def __init__(self, redis: Redis, on_bad_entry: Callable[[], None]) -> None:
        self._redis = redis
        self._on_bad_entry = on_bad_entry
        self._subscriptions: dict[str, _Subscription] = {}
        self._something = asyncio.Event()
        self._failing = False

    def __len__(self) -> int:
        return len(self._subscriptions)

    def add(self, key: str, cursor: str, sink: Sink) -> None:
        self._subscriptions[key] = _Subscription(cursor, sink)
        self._something.set()

    def remove(self, key: str) -> None:
        self._subscriptions.pop(key, None)

    async def run(self) -> None:
        while True:
            while not self._subscriptions:
                self._something.clear()
                await self._something.wait()
            began = time.monotonic()
            try:
                await self._read_once()
            except (RedisError, OSError) as error:
                if not self._failing:
                    log.warning("stream read failing", extra=fields(streams=len(self), error=str(error)))
                self._failing = True
                if isinstance(error, ResponseError) and not is_passing(error):
                    await self._drop_refused()
                await asyncio.sleep(_RETRY_S)
                continue
            rest = _BEAT_S - (time.monotonic() - began)
            if rest > 0:
                await asyncio.sleep(rest)

    async def _read_once(self) -> None:
        # What was asked for, by object: a stream removed and added again meanwhile has another cursor.
        asked = dict(self._subscriptions)
        cursors = {key: subscription.cursor for key, subscription in asked.items()}
        count = _COUNT_AFTER_FAILURE if self._failing else _COUNT
        reply = await xread(self._redis, cursors, count=count, block_ms=_BLOCK_MS)
        if self._failing:
            log.warning("stream read works again", extra=fields(streams=len(self)))
            self._failing = False
        for key, entry_id, content in entries_of(reply):
            subscription = asked[key]
            if self._subscriptions.get(key) is subscription:
                subscription.cursor = entry_id
                self._hand_out(key, subscription.sink, entry_id, content)

    def _hand_out(self, key: str, sink: Sink, entry_id: str, content: Fields) -> None:
        try:
            entry = decode_fields(content)
            if entry is not None:
                sink(entry_id, entry)
        except EntryError as error:
            self._on_bad_entry()
            log.warning("bad entry skipped", extra=fields(key=key, entry_id=entry_id, error=error.message))
        except Exception:
            # One call's fault must not stop the reading of all others.
            log.exception("sink failed", extra=fields(key=key, entry_id=entry_id))

    async def _drop_refused(self) -> None:
        """One key that Redis refuses to read would end every read of all: find it and read it no more."""
        for key, subscription in list(self._subscriptions.items()):
            try:
                await xread(self._redis, {key: subscription.cursor}, count=1, block_ms=1)
            except ResponseError as error:
                if not is_passing(error) and self._subscriptions.get(key) is subscription:
                    self.remove(key)
                    log.error("stream refused", extra=fields(key=key, error=str(error)))
            except (RedisError, OSError):
                return
