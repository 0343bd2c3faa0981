"""The reading end of the media streams: many calls with one XREAD, each entry handed to its call's sink in order."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from hiredis import ReplyError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bridge_common.entries import FIELD, Entry, decode
from bridge_common.errors import EntryError
from bridge_common.keys import READER_STREAMS
from bridge_common.log import fields
from bridge_common.redis_clients import command, is_passing, refusal_is_passing
from bridge_common.redis_wire import RedisWire, keep_open, pack
from bridge_common.telemetry import BAD_ENTRIES, REDIS_OUTAGES

log = logging.getLogger(__name__)

Sink: TypeAlias = Callable[[str, Entry], None]
"""Called with an entry's id and the entry, in the order of the stream. Must not block."""
Fields: TypeAlias = Mapping[bytes, bytes]
Reply: TypeAlias = Mapping[bytes, Sequence[Sequence[tuple[bytes, Fields | None]]]]

_BEAT_S: Final = 0.002
"""Under load a read waits this long after the one before it: fuller replies, for at most 2 ms of delay."""
_BLOCK_MS: Final = 20
"""A stream added while a read is blocked is seen after this time at the latest."""
_EMPTY_READS: Final = 3
"""So many reads without anything, and the next one blocks: an idle process sleeps.

A busy one never blocks. Redis wakes a blocked read with the first entry of many that come together, and holding a read
at many streams costs it more than answering that nothing is there.
"""
_COUNT: Final = 64
_COUNT_AFTER_FAILURE: Final = 4
"""Entries a stream after a failed read: a reply too large for the time-out would otherwise fail for ever."""
_PATIENCE_S: Final = 0.5
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
        BAD_ENTRIES.inc()


@dataclass(slots=True, eq=False)
class _Subscription:
    """One reading of a stream: another one of the same key is not this one."""

    key: str
    cursor: bytes
    sink: Sink
    packed_cursor: bytes = b""
    """As a part of a command. Most cursors stand still between two reads."""

    def __post_init__(self) -> None:
        self.move(self.cursor)

    def move(self, cursor: bytes) -> None:
        self.cursor = cursor
        self.packed_cursor = b"$%d\r\n%b\r\n" % (len(cursor), cursor)


class _Part:
    """Up to `READER_STREAMS` streams on one connection. One read is under way at a time, driven by its reply."""

    def __init__(self, redis: Redis, on_bad_entry: Callable[[], None]) -> None:
        self._redis = redis
        self._on_bad_entry = on_bad_entry
        self._subscriptions: dict[bytes, _Subscription] = {}
        self._command_starts: tuple[bytes, bytes] | None = None
        """The read command up to its cursors, without and with BLOCK; made again when the streams change."""
        self._empty_reads = 0
        self._asked: dict[bytes, _Subscription] | None = None
        """What the read under way asked for, by object: a stream removed and added again has another cursor."""
        self._streams: dict[bytes, _Subscription] = {}
        """Those of `_command_start`."""
        self._wire: RedisWire | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last_read = 0.0
        self._failing = False
        self._one_is_refused = False

    def __len__(self) -> int:
        return len(self._subscriptions)

    def add(self, key: str, cursor: str, sink: Sink) -> None:
        self._subscriptions[key.encode()] = _Subscription(key, cursor.encode(), sink)
        self._command_starts = None
        self._read_soon()

    def remove(self, key: str) -> None:
        self._subscriptions.pop(key.encode(), None)
        self._command_starts = None

    async def run(self) -> None:
        await keep_open(self._redis, self, patience_s=_BLOCK_MS / 1000 + _PATIENCE_S)

    # -- as the user of a connection
    async def before_open(self) -> None:
        if self._one_is_refused:
            await self._drop_refused()

    def opened(self, wire: RedisWire) -> None:
        self._wire = wire
        self._read_soon()

    def closed(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wire = None
        self._asked = None

    def failed(self, reason: str) -> None:
        if not self._failing:
            REDIS_OUTAGES.labels("read").inc()
            log.warning("stream read failing", extra=fields(streams=len(self), error=reason))
        self._failing = True
        self._command_starts = None

    # -- reading
    def _read_soon(self) -> None:
        """At the next beat, unless a read is under way or nothing is there to be read."""
        if self._wire is None or self._asked is not None or self._timer is not None or not self._subscriptions:
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(max(self._last_read + _BEAT_S, loop.time()), self._read)

    def _read(self) -> None:
        self._timer = None
        if self._wire is None or not self._subscriptions:
            return
        if self._command_starts is None:
            self._streams = self._subscriptions.copy()
            count = _COUNT_AFTER_FAILURE if self._failing else _COUNT
            self._command_starts = _read_command(self._streams, count), _read_command(self._streams, count, _BLOCK_MS)
        start = self._command_starts[self._empty_reads >= _EMPTY_READS]
        self._asked = asked = self._streams
        self._last_read = asyncio.get_running_loop().time()
        self._wire.send(start + b"".join([stream.packed_cursor for stream in asked.values()]))

    def answered(self, reply: Any) -> None:
        asked, self._asked = self._asked, None
        if isinstance(reply, ReplyError):
            self._refused(str(reply))
            return
        if self._failing:
            self._failing = False
            self._command_starts = None
            log.warning("stream read works again", extra=fields(streams=len(self)))
        self._empty_reads = 0 if reply else self._empty_reads + 1
        for key, entries in (reply or {}).items():
            subscription = (asked or {})[key]
            for entry_id, content in entries:
                if self._subscriptions.get(key) is not subscription:
                    break
                subscription.move(entry_id)
                if content is not None:
                    self._hand_out(subscription, entry_id.decode(), content)
        self._read_soon()

    def _hand_out(self, subscription: _Subscription, entry_id: str, content: Sequence[bytes]) -> None:
        """`content`: field, value, field, value, …"""
        try:
            entry = decode(content[1] if content[0] == FIELD else b"")
        except EntryError as error:
            self._on_bad_entry()
            log.warning("bad entry skipped", extra=fields(key=subscription.key, entry_id=entry_id, error=error.message))
            return
        if entry is None:
            return
        try:
            subscription.sink(entry_id, entry)
        except Exception:
            # One call's fault must not stop the reading of all others.
            log.exception("sink failed", extra=fields(key=subscription.key, entry_id=entry_id))

    # -- when Redis refuses
    def _refused(self, reason: str) -> None:
        self.failed(reason)
        self._one_is_refused = not refusal_is_passing(reason)
        if self._wire is not None:
            self._wire.abort()
        self.closed()

    async def _drop_refused(self) -> None:
        """One key that Redis refuses to read would end every read of all: find it and read it no more."""
        for key, subscription in list(self._subscriptions.items()):
            try:
                await xread(self._redis, {subscription.key: subscription.cursor.decode()}, count=1, block_ms=1)
            except ResponseError as error:
                if not is_passing(error) and self._subscriptions.get(key) is subscription:
                    self.remove(subscription.key)
                    log.error("stream refused", extra=fields(key=subscription.key, error=str(error)))
        self._one_is_refused = False


def _read_command(streams: Mapping[bytes, _Subscription], count: int, block_ms: int | None = None) -> bytes:
    """XREAD of these streams, up to its cursors."""
    block: list[bytes | str | int] = [] if block_ms is None else [b"BLOCK", block_ms]
    parts: list[bytes | str | int] = [b"XREAD", b"COUNT", count, *block, b"STREAMS", *streams]
    # The number of parts stands first; the cursors count as well.
    return b"*%d\r\n" % (len(parts) + len(streams)) + pack(*parts).partition(b"\r\n")[2]
