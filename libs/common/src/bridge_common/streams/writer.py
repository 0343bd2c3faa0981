"""The writing end of the media streams: what came in a moment, over all calls, goes out in one write.

The stream is the fence. Every entry carries the id `<epoch>-<seq>`: Redis refuses a writer with a lower epoch and a
repeated append alike, so a writer that lost its call is silenced by the server and a retry never doubles anything.

Right behind its append each entry is told on the channel of the stream's name, so that who reads the stream need not
look for it (`stream_reader`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from hiredis import ReplyError
from redis.asyncio import Redis

from bridge_common.base.log import fields
from bridge_common.observability.telemetry import REDIS_OUTAGES, WRITER_DROPPED
from bridge_common.redis.clients import refusal_is_passing
from bridge_common.redis.pipeline import RedisPipeline, keep_open, pack
from bridge_common.wire.entries import Entry
from bridge_common.wire.entry_codec import FIELD, encode
from bridge_common.wire.keys import LONG_ENTRIES_KEPT, LONG_ENTRY_BYTES, MEDIA_STREAM_LENGTH

log = logging.getLogger(__name__)

MAX_WAITING = 20_000  # not Final: a test lowers it, also in what is compiled
"""Entries kept while Redis does not answer: 2 s of 100 calls both ways. Beyond it the oldest go."""
_GATHER_S: Final = 0.05
"""Replies are read this seldom: a fence may be noticed so much later, and the server keeps it meanwhile."""
TRIM_EVERY: Final = 8
"""A stream is cut to its length with one entry in so many: the cutting costs a third of an append."""
_BATCH: Final = 512
_PATIENCE_S: Final = 0.5

_Item: TypeAlias = tuple["Outlet", bytes]
"""Whose entry, and the two commands that append it and tell of it: the same however often they are sent."""


class Queue(Protocol):
    """What an outlet appends to: the writer."""

    @property
    def sharded(self) -> bool:
        """The channels of a cluster lie on the server of their stream."""

    def queue(self, outlet: Outlet, commands: bytes) -> None:
        """`commands`: two, of which the first appends."""


class Outlet:
    """One call's stream under one epoch. `append` never blocks; a refusal is reported once through `on_fenced`.

    `on_missing` is told of each entry that found no stream: who gives it goes on, and the stream may be made again.
    Without it a missing stream is a fence.
    """

    __slots__ = (
        "_append_start",
        "_on_fenced",
        "_on_missing",
        "_seq",
        "_tell_start",
        "_trim_long_start",
        "_trim_start",
        "_writer",
        "closed",
        "epoch",
        "key",
    )

    def __init__(
        self,
        writer: Queue,
        key: str,
        epoch: int,
        on_fenced: Callable[[], None],
        on_missing: Callable[[], None] | None = None,
    ) -> None:
        self.key = key
        self._append_start = _append_start(key)
        self._trim_start = _append_start(key, MEDIA_STREAM_LENGTH)
        self._trim_long_start = _append_start(key, LONG_ENTRIES_KEPT)
        self._tell_start = _tell_start(key, writer.sharded)
        self.epoch = epoch
        self.closed = False
        self._seq = 0
        self._writer = writer
        self._on_fenced = on_fenced
        self._on_missing = on_missing

    def append(self, entry: Entry) -> None:
        """Queue the entry; after `close` or a fence it is dropped."""
        if self.closed:
            return
        self._seq += 1
        payload = encode(entry)
        entry_id = b"%d-%d" % (self.epoch, self._seq)
        size, id_size = len(payload), len(entry_id)
        start = self._append_start
        if self._seq % TRIM_EVERY == 0:
            start = self._trim_start if size < LONG_ENTRY_BYTES else self._trim_long_start
        # Joined and not formatted: what is long is copied once each.
        append = b"$%d\r\n%b\r\n%b$%d\r\n" % (id_size, entry_id, _PACKED_FIELD, size)
        tell = b"$%d\r\n%b " % (id_size + 1 + size, entry_id)
        commands = b"".join((start, append, payload, b"\r\n", self._tell_start, tell, payload, b"\r\n"))
        self._writer.queue(self, commands)

    def close(self) -> None:
        """Append no more; what was appended before is still written."""
        self.closed = True

    def fenced(self) -> None:
        """Redis refused the epoch."""
        if not self.closed:
            self.closed = True
            self._tell(self._on_fenced)

    def missing(self) -> None:
        """There is no such stream."""
        if self._on_missing is None:
            self.fenced()
        elif not self.closed:
            self._tell(self._on_missing)

    def _tell(self, told: Callable[[], None]) -> None:
        try:
            told()
        except Exception:
            # One call's fault must not stop the writing of all others.
            log.exception("telling of a refused entry failed", extra=fields(key=self.key, epoch=self.epoch))


class StreamWriter:
    """All outlets of a process; `run` writes until cancelled, one `run` at a time."""

    def __init__(self, redis: Redis, *, sharded: bool = False) -> None:
        """`sharded`: see `Queue`."""
        self._redis = redis
        self.sharded = sharded
        self._waiting: deque[_Item] = deque()
        self._sent: deque[_Item] = deque()
        """Written, and not answered yet."""
        self._answered_append = False
        """The next reply is to the telling of an entry, which is nobody's concern."""
        self._doubtful = 0
        """So many of the next replies are to entries that an attempt before may have stored already."""
        self._in_doubt = 0
        """So many at the head of `_waiting` were sent over a connection that was lost."""
        self._wire: RedisPipeline | None = None
        self._planned = False
        """A write comes at the end of the loop's turn."""
        self._failing = False
        self._flushing = 0
        self._queued = 0
        self._settled = 0
        self._progress = asyncio.Event()
        self._ended = False
        self.dropped = 0

    def outlet(
        self, key: str, epoch: int, on_fenced: Callable[[], None], on_missing: Callable[[], None] | None = None
    ) -> Outlet:
        return Outlet(self, key, epoch, on_fenced, on_missing)

    def queue(self, outlet: Outlet, commands: bytes) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._in_doubt = max(0, self._in_doubt - 1)
            self._settled += 1
            self.dropped += 1
            WRITER_DROPPED.inc()
        self._waiting.append((outlet, commands))
        self._queued += 1
        if not self._planned and self._wire is not None:
            self._write_soon()

    @property
    def waiting(self) -> int:
        """Entries not written yet, or not answered."""
        return len(self._waiting) + len(self._sent)

    async def flush(self) -> None:
        """Return when all that was appended so far has been written or given up; while Redis is away, that is long.

        Returns at once after `run` has ended: nobody writes any more.
        """
        target = self._queued
        self._flushing += 1
        try:
            while self._settled < target and not self._ended:
                self._gather()
                await self._progress.wait()
        finally:
            self._flushing -= 1
            self._gather()

    def _gather(self) -> None:
        """Leave replies in the socket for a moment, unless somebody waits for them."""
        if self._wire is not None:
            self._wire.gather(0.0 if self._flushing else _GATHER_S)

    async def run(self) -> None:
        """Write until cancelled; run again, it goes on with what was not answered."""
        self._ended = False
        try:
            await keep_open(self._redis, self, patience_s=_PATIENCE_S)
        finally:
            self._ended = True
            self._tell_progress()

    # -- as the user of a connection
    async def before_open(self) -> None:
        pass

    def opened(self, wire: RedisPipeline) -> None:
        self._wire = wire
        self._gather()
        self._write_soon()

    def closed(self) -> None:
        """What was sent and not answered may be stored or not: it goes first on the next connection."""
        self._wire = None
        self._in_doubt += len(self._sent)
        self._waiting.extendleft(reversed(self._sent))
        self._sent.clear()
        self._doubtful = 0
        self._answered_append = False

    def failed(self, reason: str) -> None:
        if not self._failing:
            REDIS_OUTAGES.labels("write").inc()
            log.warning("stream write failing", extra=fields(entries=len(self._waiting), error=reason))
        self._failing = True

    # -- writing
    def _write_soon(self) -> None:
        """Once all is taken in that came in this turn of the loop."""
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._planned = False
        if self._wire is None or not self._waiting:
            return
        batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        doubtful = min(self._in_doubt, len(batch))
        self._in_doubt -= doubtful
        self._doubtful += doubtful
        self._sent += batch
        self._wire.send(b"".join([commands for _, commands in batch]), replies=2 * len(batch))
        if self._waiting:
            self._write_soon()

    def answered(self, reply: Any) -> None:
        refused = isinstance(reply, ReplyError)
        if refused and refusal_is_passing(str(reply)):
            # The server is in no state to store anything: all that is open is tried again on another connection.
            self.failed(str(reply))
            if self._wire is not None:
                self._wire.abort()
            self.closed()
            return
        if self._answered_append:
            self._answered_append = False
            return
        self._answered_append = True
        outlet = self._sent.popleft()[0]
        repeated = self._doubtful > 0
        if repeated:
            self._doubtful -= 1
        self._settled += 1
        # After an attempt in doubt a refused id may be our own entry; a writer that was fenced meanwhile learns it
        # with its next entry.
        if reply is None:
            outlet.missing()
        elif refused and not repeated:
            outlet.fenced()
        if not self._sent:
            self._tell_progress()
            if self._failing:
                self._failing = False
                log.warning("stream write works again", extra=fields(dropped=self.dropped))

    def _tell_progress(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()


def _append_start(key: str, kept: int | None = None) -> bytes:
    """All of an append that is the same for every entry of a stream; with `kept` it is cut to that length."""
    trim = (b"MAXLEN", b"~", kept) if kept is not None else ()
    packed = pack(b"XADD", key, b"NOMKSTREAM", *trim)
    # The number of parts stands first; the entry's id, its field and its payload count as well.
    return b"*%d\r\n" % (6 + len(trim)) + packed.partition(b"\r\n")[2]


def _tell_start(key: str, sharded: bool) -> bytes:
    """The same of what tells of an entry: `<id> <payload>` on the channel of the stream's name."""
    return b"*3\r\n" + pack(b"SPUBLISH" if sharded else b"PUBLISH", key).partition(b"\r\n")[2]


_PACKED_FIELD: Final = b"$%d\r\n%b\r\n" % (len(FIELD), FIELD)
