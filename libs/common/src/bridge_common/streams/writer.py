"""Media stream writer: batches the entries of all calls from one loop iteration into one write.

The stream is the fence. Every entry has the id `<epoch>-<seq>`: Redis refuses both a writer with a lower epoch and a
repeated append. So the server stops a writer that lost its call, and a retry never duplicates an entry.

Directly after its append each entry is published on a channel with the name of the stream, so that readers need not
poll (`reader`).
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
"""Maximum queued entries while Redis does not answer: 2 s of 100 calls in both directions. The oldest are dropped."""
_GATHER_S: Final = 0.05
"""Interval of reading replies. A fence is noticed later by up to this time; the server enforces it anyway."""
TRIM_EVERY: Final = 8
"""One in so many entries trims its stream: trimming costs a third of an append."""
_BATCH: Final = 512
_PATIENCE_S: Final = 0.5

_Item: TypeAlias = tuple["Outlet", bytes]
"""The outlet, and the two commands that append and publish its entry. Retries send the same bytes."""


class Queue(Protocol):
    """The writer as an outlet uses it."""

    @property
    def sharded(self) -> bool:
        """Publish with SPUBLISH: in a cluster, a channel is on the server of its stream."""

    def queue(self, outlet: Outlet, commands: bytes) -> None:
        """`commands`: two packed commands, append and publish."""


class Outlet:
    """One call's stream under one epoch. `append` never blocks; a refusal is reported once through `on_fenced`.

    `on_missing` is called for each entry whose stream does not exist; the outlet stays open, since the stream may be
    created again. Without it a missing stream counts as a fence.
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
        # Joined, not formatted, so that the long payload is copied only once each time.
        append = b"$%d\r\n%b\r\n%b$%d\r\n" % (id_size, entry_id, _PACKED_FIELD, size)
        tell = b"$%d\r\n%b " % (id_size + 1 + size, entry_id)
        commands = b"".join((start, append, payload, b"\r\n", self._tell_start, tell, payload, b"\r\n"))
        self._writer.queue(self, commands)

    def close(self) -> None:
        """Drop further entries; those appended before are still written."""
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
            # An error in one call must not stop the writes of all others.
            log.exception("refusal callback failed", extra=fields(key=self.key, epoch=self.epoch))


class StreamWriter:
    """All outlets of a process. `run` writes until canceled; one `run` at a time."""

    def __init__(self, redis: Redis, *, sharded: bool = False) -> None:
        """`sharded`: see `Queue`."""
        self._redis = redis
        self.sharded = sharded
        self._waiting: deque[_Item] = deque()
        self._sent: deque[_Item] = deque()
        """Written, reply pending."""
        self._answered_append = False
        """The next reply is that of a publication, which is ignored."""
        self._doubtful = 0
        """Number of next replies whose entries an earlier attempt may have stored already."""
        self._in_doubt = 0
        """Number of entries at the head of `_waiting` that were sent over a lost connection."""
        self._wire: RedisPipeline | None = None
        self._planned = False
        """`_write` is scheduled for the end of this loop iteration."""
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
        """Number of entries that are not written or not acknowledged yet."""
        return len(self._waiting) + len(self._sent)

    async def flush(self) -> None:
        """Wait until all entries appended so far are written or dropped. Waits as long as Redis is unreachable.

        Returns at once after `run` has ended.
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
        """Batch the reading of replies, unless a `flush` waits for them."""
        if self._wire is not None:
            self._wire.gather(0.0 if self._flushing else _GATHER_S)

    async def run(self) -> None:
        """Write until canceled. Another `run` resumes with the entries without a reply."""
        self._ended = False
        try:
            await keep_open(self._redis, self, patience_s=_PATIENCE_S)
        finally:
            self._ended = True
            self._tell_progress()

    # -- PipelineUser
    async def before_open(self) -> None:
        pass

    def opened(self, wire: RedisPipeline) -> None:
        self._wire = wire
        self._gather()
        self._write_soon()

    def closed(self) -> None:
        """Entries without a reply may be stored or not: they are sent first on the next connection."""
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
        """At the end of this loop iteration, so that one write contains all its entries."""
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
            # The server cannot store anything at the moment: retry all pending entries on another connection.
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
        # If an earlier attempt may have stored the entry, a refused id may be our own; a writer that was fenced
        # meanwhile learns it with its next entry.
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
    """Constant start of the appends to a stream; with `kept` they trim it to that length."""
    trim = (b"MAXLEN", b"~", kept) if kept is not None else ()
    packed = pack(b"XADD", key, b"NOMKSTREAM", *trim)
    # The number of parts comes first, including the entry's id, field and payload.
    return b"*%d\r\n" % (6 + len(trim)) + packed.partition(b"\r\n")[2]


def _tell_start(key: str, sharded: bool) -> bytes:
    """Constant start of the publications: `<id> <payload>` on the channel with the name of the stream."""
    return b"*3\r\n" + pack(b"SPUBLISH" if sharded else b"PUBLISH", key).partition(b"\r\n")[2]


_PACKED_FIELD: Final = b"$%d\r\n%b\r\n" % (len(FIELD), FIELD)
