"""Media stream writer: batches the entries of all calls from one loop iteration into one write.

The stream is the fence. Every entry has the id `<epoch>-<seq>`: Redis rejects both a writer with a lower epoch and a
repeated append. So the server stops a writer that lost its call, and a retry never duplicates an entry.

Directly after its append each entry is published on a channel with the name of the stream, so that readers need not
poll (`reader`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

from redis.asyncio import Redis

from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.observability.media_metrics import WRITER_DROPPED
from bridge_common.observability.telemetry import REDIS_OUTAGES
from bridge_common.redis.pipeline import RedisPipeline, keep_open, pack
from bridge_common.streams.append_log import AppendLog, Unavailable
from bridge_common.wire.entries import Entry
from bridge_common.wire.entry_codec import FIELD, encode
from bridge_common.wire.keys import LONG_ENTRIES_KEPT, LONG_ENTRY_BYTES, MEDIA_STREAM_LENGTH

log = logging.getLogger(__name__)

MAX_WAITING: Final = 20_000
"""Maximum queued entries while Redis does not answer: 2 s of 100 calls in both directions. The oldest are dropped."""
_GATHER_S: Final = 0.05
"""Interval of reads of replies. A fence is noticed up to this much later; the server enforces it anyway."""
TRIM_EVERY: Final = 8
"""One in so many entries trims its stream, because trimming costs a third of an append."""
_BATCH: Final = 512
_PATIENCE_S: Final = 0.5


class Queue(Protocol):
    """The part of the writer that an outlet uses."""

    @property
    def sharded(self) -> bool:
        """Whether to publish with SPUBLISH: in a cluster, a channel is on the server of its stream."""

    def queue(self, outlet: Outlet, commands: bytes) -> None:
        """Queue an entry. `commands`: two packed commands, append and publish."""


class Outlet:
    """Appends to one call's stream under one epoch. `append` never blocks. If Redis rejects the epoch, `on_fenced` is
    called once.

    `on_missing` is called for each entry whose stream does not exist; the outlet stays open, since the stream may be
    created again. Without it a missing stream counts as a fence.
    """

    __slots__ = (
        "_append_start",
        "_on_fenced",
        "_on_missing",
        "_publish_start",
        "_seq",
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
        self._publish_start = _publish_start(key, writer.sharded)
        self.epoch = epoch
        self.closed = False
        self._seq = 0
        self._writer = writer
        self._on_fenced = on_fenced
        self._on_missing = on_missing

    def append(self, entry: Entry) -> None:
        """Queue the entry. After `close` or a fence it is dropped."""
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
        publish = b"$%d\r\n%b " % (id_size + 1 + size, entry_id)
        commands = b"".join((start, append, payload, b"\r\n", self._publish_start, publish, payload, b"\r\n"))
        self._writer.queue(self, commands)

    def close(self) -> None:
        """Drop further entries; those appended before are still written."""
        self.closed = True

    def fenced(self) -> None:
        """Close the outlet, because Redis rejected its epoch."""
        if not self.closed:
            self.closed = True
            self._notify(self._on_fenced)

    def missing(self) -> None:
        """Handle a missing stream."""
        if self._on_missing is None:
            self.fenced()
        elif not self.closed:
            self._notify(self._on_missing)

    def _notify(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:
            # An error in one call must not stop the writes of all others.
            log.exception("stream writer callback failed", extra=fields(key=self.key, epoch=self.epoch))


class StreamWriter:
    """Writes for all outlets of a process. `run` writes until canceled; one `run` at a time."""

    def __init__(self, redis: Redis, *, sharded: bool = False, max_waiting: int = MAX_WAITING) -> None:
        """Create the writer. `sharded`: see `Queue`."""
        self._redis = redis
        self.sharded = sharded
        self._log: AppendLog[Outlet] = AppendLog(max_waiting)
        self._wire: RedisPipeline | None = None
        self._scheduled = False
        """Whether `_write` is scheduled for the end of this loop iteration."""
        self._outage = OutageLogger(log, begun="stream write failing", over="stream write recovered")
        self._flushing = 0
        self._progress = asyncio.Event()
        self._ended = False

    def outlet(
        self, key: str, epoch: int, on_fenced: Callable[[], None], on_missing: Callable[[], None] | None = None
    ) -> Outlet:
        return Outlet(self, key, epoch, on_fenced, on_missing)

    def queue(self, outlet: Outlet, commands: bytes) -> None:
        if not self._log.add(outlet, commands):
            WRITER_DROPPED.inc()
        if not self._scheduled and self._wire is not None:
            self._schedule_write()

    @property
    def appended(self) -> int:
        """Number of appended entries, including dropped ones."""
        return self._log.added

    @property
    def waiting(self) -> int:
        """Number of entries that are not written or not acknowledged yet."""
        return len(self._log.waiting) + len(self._log.sent)

    @property
    def dropped(self) -> int:
        return self._log.dropped

    async def flush(self) -> None:
        """Wait until all entries appended so far are written or dropped. Waits as long as Redis is unreachable.

        Returns at once after `run` has ended.
        """
        target = self._log.added
        self._flushing += 1
        try:
            while self._log.settled < target and not self._ended:
                self._gather()
                await self._progress.wait()
        finally:
            self._flushing -= 1
            self._gather()

    def _gather(self) -> None:
        """Read replies in batches, unless a `flush` waits for them."""
        if self._wire is not None:
            self._wire.gather(0.0 if self._flushing else _GATHER_S)

    async def run(self) -> None:
        """Write until canceled. Another `run` continues with the entries without a reply."""
        self._ended = False
        try:
            await keep_open(self._redis, self, patience_s=_PATIENCE_S)
        finally:
            self._ended = True
            self._wake_flushes()

    # -- PipelineUser
    async def before_open(self) -> None:
        pass

    def opened(self, wire: RedisPipeline) -> None:
        self._wire = wire
        self._gather()
        self._schedule_write()

    def closed(self) -> None:
        self._wire = None
        self._log.lose_connection()

    def failed(self, reason: str) -> None:
        if self._outage.failed(entries=self.waiting, error=reason):
            REDIS_OUTAGES.labels("write").inc()

    # -- writing
    def _schedule_write(self) -> None:
        """Schedule `_write` for the end of this loop iteration, so that one write contains all its entries."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._scheduled = False
        if self._wire is None or not self._log.waiting:
            return
        batch = self._log.take(_BATCH)
        self._wire.send(b"".join(batch), replies=2 * len(batch))
        if self._log.waiting:
            self._schedule_write()

    def answered(self, reply: Any) -> None:
        refusal = self._log.answer(reply)
        if refusal is not None:
            if isinstance(refusal, Unavailable):
                self.failed(refusal.reason)
                if self._wire is not None:
                    self._wire.abort()
                self.closed()
                return
            if refusal.is_missing:
                refusal.owner.missing()
            else:
                refusal.owner.fenced()
        if not self._log.sent:
            if self._flushing:
                self._wake_flushes()
            if self._outage.lasts:
                self._outage.worked(dropped=self.dropped)

    def _wake_flushes(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()


def _append_start(key: str, kept: int | None = None) -> bytes:
    """Return the constant start of the appends to a stream. With `kept` they trim it to that length."""
    trim = (b"MAXLEN", b"~", kept) if kept is not None else ()
    packed = pack(b"XADD", key, b"NOMKSTREAM", *trim)
    # The number of parts comes first, including the entry's id, field and payload.
    return b"*%d\r\n" % (6 + len(trim)) + packed.partition(b"\r\n")[2]


def _publish_start(key: str, sharded: bool) -> bytes:
    """Return the constant start of the publications: `<id> <payload>` on the channel with the name of the stream."""
    return b"*3\r\n" + pack(b"SPUBLISH" if sharded else b"PUBLISH", key).partition(b"\r\n")[2]


_PACKED_FIELD: Final = b"$%d\r\n%b\r\n" % (len(FIELD), FIELD)
