"""The reading end of the media streams: many calls with one XREAD, each entry handed to its call's sink in order."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from hiredis import ReplyError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bridge_common.entry_codec import FIELD, decode
from bridge_common.errors import EntryError
from bridge_common.keys import BELL_TTL_S, READER_STREAMS
from bridge_common.log import fields
from bridge_common.redis_clients import is_passing, refusal_is_passing
from bridge_common.redis_cluster import server_of
from bridge_common.redis_wire import RedisWire, keep_open, pack
from bridge_common.stream_entries import xread
from bridge_common.stream_subscription import Sink, Subscription, read_command
from bridge_common.telemetry import BAD_ENTRIES, REDIS_OUTAGES

log = logging.getLogger(__name__)

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


class StreamReader:
    """All streams a process reads, on one server or a cluster. `run` reads until cancelled; streams may be added and
    removed at any time.
    """

    def __init__(self, redis: Redis, bell: str = "") -> None:
        """`bell`: a key of its own where writers may ring (see `bell_of`); without it, it looks at a steady beat."""
        self._redis = redis
        self._bell = bell
        self._parts: list[_Part] = []
        self._tasks: asyncio.TaskGroup | None = None
        self.bad_entries = 0

    def add(self, key: str, cursor: str, sink: Sink, *, rest_s: float = 0.0) -> None:
        """Read the stream from after `cursor` (an entry id; `0-0` for the beginning), instead of before, if it was.

        `rest_s`: after an entry, do not look for the next one for so long. A stream that is written at a steady pace
        costs Redis nothing meanwhile.

        Raises `ValueError` for a cursor that is no entry id: `$` would lose what comes between two reads.
        """
        if not _ENTRY_ID.fullmatch(cursor):
            raise ValueError(f"a cursor is an entry id, not {cursor!r}")
        self.remove(key)
        redis = server_of(self._redis, key)
        part = min((part for part in self._parts if part.redis is redis), key=len, default=None)
        if part is None or len(part) >= READER_STREAMS:
            bell = f"{_beside(self._bell, key)}:{len(self._parts)}" if self._bell else ""
            part = _Part(redis, bell, self._count_bad_entry)
            self._parts.append(part)
            if self._tasks is not None:
                self._tasks.create_task(part.run())
        part.add(Subscription(key, cursor.encode(), sink, rest_s))

    def remove(self, key: str) -> None:
        """Hand out nothing of this stream any more, not even of a read that is under way."""
        for part in self._parts:
            part.remove(key)

    def bell_of(self, key: str) -> str:
        """Whoever writes to this stream rings here (`Outlet.ring_at`), and it is read at once.

        Empty without a bell, and for a stream that is not read. A bell that nobody rings costs `_BLOCK_MS` of delay.
        """
        return next((part.bell for part in self._parts if part.reads(key)), "")

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


class _Part:
    """Up to `READER_STREAMS` streams on one connection. One read is under way at a time, driven by its reply."""

    def __init__(self, redis: Redis, bell: str, on_bad_entry: Callable[[], None]) -> None:
        self.bell = bell
        self._bell_cursor = b"0"
        self._bell_lives_until = 0.0
        self._aside: deque[bool] = deque()
        """Replies before the one of the streams; True for the bell's."""
        self.redis = redis
        self._on_bad_entry = on_bad_entry
        self._subscriptions: dict[bytes, Subscription] = {}
        self._empty_reads = 0
        self._asked: dict[bytes, Subscription] | None = None
        """The streams there were when the read under way was sent: one removed and added again is another one."""
        self._streams: dict[bytes, Subscription] | None = None
        """A copy of the subscriptions, until they change."""
        self._wire: RedisWire | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._planned = False
        """A read goes out at the end of the loop's turn."""
        self._last_read = 0.0
        self._failing = False
        self._one_is_refused = False

    def __len__(self) -> int:
        return len(self._subscriptions)

    def reads(self, key: str) -> bool:
        return key.encode() in self._subscriptions

    def add(self, subscription: Subscription) -> None:
        self._subscriptions[subscription.key.encode()] = subscription
        self._streams = None
        self._read_soon()

    def remove(self, key: str) -> None:
        self._subscriptions.pop(key.encode(), None)
        self._streams = None

    async def run(self) -> None:
        await keep_open(self.redis, self, patience_s=_BLOCK_MS / 1000 + _PATIENCE_S)

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
        self._aside.clear()
        self._bell_lives_until = 0.0

    def failed(self, reason: str) -> None:
        if not self._failing:
            REDIS_OUTAGES.labels("read").inc()
            log.warning("stream read failing", extra=fields(streams=len(self), error=reason))
        self._failing = True

    # -- reading
    def _read_soon(self) -> None:
        """At the end of this turn (without a bell: at the next beat), unless a read is under way."""
        if self._wire is None or self._asked is not None or not self._subscriptions:
            return
        if self._timer is not None or self._planned:
            return
        if self.bell:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._read)
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(max(self._last_read + _BEAT_S, loop.time()), self._read)

    def _read(self) -> None:
        self._timer = None
        self._planned = False
        if self._wire is None or not self._subscriptions:
            return
        if self._streams is None:
            self._streams = self._subscriptions.copy()
        loop = asyncio.get_running_loop()
        self._last_read = now = loop.time()
        streams = self._streams.values()
        idle = self._empty_reads >= _EMPTY_READS and not self.bell
        due = streams if idle else [stream for stream in streams if stream.due_at <= now]
        if not due:
            self._timer = loop.call_at(min(stream.due_at for stream in streams), self._read)
            return
        self._asked = self._streams
        bell = self._wait_for_bell(now, streams) if self.bell else b""
        read = read_command(due, _COUNT_AFTER_FAILURE if self._failing else _COUNT, block_ms=_BLOCK_MS if idle else 0)
        self._wire.send(bell + read, replies=len(self._aside) + 1)

    def _wait_for_bell(self, now: float, streams: Iterable[Subscription]) -> bytes:
        """What goes before a read: Redis holds back all that follows until the bell rings, for `_BLOCK_MS` at most.

        Holding a read at one key costs it a twentieth of holding it at many. The bell may have rung for a stream that
        rests; it is looked at when its rest is over.
        """
        rests_s = max(stream.due_at for stream in streams) - now
        block_ms = min(math.ceil(rests_s * 1000), _BLOCK_MS) if rests_s > 0 else _BLOCK_MS
        wait = pack(b"XREAD", b"BLOCK", block_ms, b"STREAMS", self.bell, self._bell_cursor)
        if now > self._bell_lives_until:
            self._bell_lives_until = now + BELL_TTL_S / 2
            wait = (
                pack(b"XADD", self.bell, b"MAXLEN", 1, b"*", b"r", b"") + pack(b"EXPIRE", self.bell, BELL_TTL_S) + wait
            )
            self._aside.extend((False, False))
        self._aside.append(True)
        return wait

    def answered(self, reply: Any) -> None:
        if self._aside and not isinstance(reply, ReplyError):
            if self._aside.popleft() and reply:
                self._bell_cursor = reply[self.bell.encode()][-1][0]
            return
        asked, self._asked = self._asked, None
        if isinstance(reply, ReplyError):
            self._refused(str(reply))
            return
        if self._failing:
            self._failing = False
            log.warning("stream read works again", extra=fields(streams=len(self)))
        self._empty_reads = 0 if reply else self._empty_reads + 1
        now = asyncio.get_running_loop().time()
        for key, entries in (reply or {}).items():
            subscription = (asked or {})[key]
            subscription.due_at = now + subscription.rest_s
            for entry_id, content in entries:
                if self._subscriptions.get(key) is not subscription:
                    break
                subscription.move(entry_id)
                if content is not None:
                    self._hand_out(subscription, entry_id.decode(), content)
        self._read_soon()

    def _hand_out(self, subscription: Subscription, entry_id: str, content: Sequence[bytes]) -> None:
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
                await xread(self.redis, {subscription.key: subscription.cursor.decode()}, count=1, block_ms=1)
            except ResponseError as error:
                if not is_passing(error) and self._subscriptions.get(key) is subscription:
                    self.remove(subscription.key)
                    log.error("stream refused", extra=fields(key=subscription.key, error=str(error)))
        self._one_is_refused = False


def _beside(bell: str, key: str) -> str:
    """The bell in the slot of the stream: a process has one on each server of a cluster."""
    tag, brace, _ = key.partition("}")
    _, tagged, name = bell.partition("}")
    return f"{tag}{brace}{name}" if brace and tagged else bell
