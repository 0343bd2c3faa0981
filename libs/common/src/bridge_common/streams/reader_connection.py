"""Reads a part of the streams of a process, over one connection with one read in progress at a time.

`reader` documents when an entry is read from the channel and when from the stream.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from hiredis import ReplyError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bridge_common.base.errors import EntryError, error_text
from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.observability.telemetry import REDIS_OUTAGES
from bridge_common.redis.clients import is_passing
from bridge_common.redis.pipeline import RedisPipeline, keep_open, pack
from bridge_common.redis.replies import refusal_is_passing
from bridge_common.streams.stream_entries import xread
from bridge_common.streams.subscription import Subscription, read_command
from bridge_common.wire.entry_codec import FIELD, decode

log = logging.getLogger(__name__)

_POLL_S: Final = 0.005
"""Interval of reads of a stream with entries that were not published, because its writer does not publish, and of all
streams if the server rejects subscriptions.
"""
_COUNT: Final = 64
_COUNT_AFTER_FAILURE: Final = 4
"""Entries per stream in the next read after a failed one: a reply too large for the timeout would otherwise fail
forever.
"""
_PATIENCE_S: Final = 0.5
_NEVER: Final = math.inf
_NOT_SUPPORTED: Final = ("NOPERM", "ERR")
"""First word of a permanent error: an ACL without channels, or a server without the command."""
_READ: Final = b""
_SUBSCRIBE: Final = b" "
"""Kinds of pending replies. Neither is the name of a stream."""
_Stored: TypeAlias = Sequence[Any]
"""An entry: its id (bytes), and its fields and values, alternating (None for a deleted entry)."""


class ReaderConnection:
    """Reads up to `READER_STREAMS` streams over one connection."""

    def __init__(self, redis: Redis, sharded: bool, quiet_s: float, on_bad_entry: Callable[[], None]) -> None:
        self.redis = redis
        self._subscribe, self._unsubscribe = (
            (b"SSUBSCRIBE", b"SUNSUBSCRIBE") if sharded else (b"SUBSCRIBE", b"UNSUBSCRIBE")
        )
        self._on_bad_entry = on_bad_entry
        self._subscriptions: dict[bytes, Subscription] = {}
        self._reading: dict[bytes, Subscription] | None = None
        """Streams of the read in progress. A stream that is removed and added again is another subscription."""
        self._pending: deque[bytes] = deque()
        """Kind of each pending reply: `_READ`, `_SUBSCRIBE`, or the channel of an unsubscribe."""
        self._wire: RedisPipeline | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._scheduled = False
        """Whether `_read_due` is scheduled for the end of this loop iteration."""
        self._quiet_s = quiet_s
        self._quiet_at = 0.0
        """Loop time of the next read of streams without publications."""
        self._subscribes = True
        """Whether the server permits subscriptions."""
        self._outage = OutageLogger(log, begun="stream read failing", over="stream read recovered")
        self._key_is_refused = False

    def __len__(self) -> int:
        return len(self._subscriptions)

    def add(self, subscription: Subscription) -> None:
        self._subscriptions[subscription.channel] = subscription
        self._subscribe_to(subscription)
        self._schedule_read()

    def remove(self, key: str) -> None:
        removed = self._subscriptions.pop(key.encode(), None)
        if removed is not None and self._wire is not None and self._subscribes:
            self._pending.append(removed.channel)
            self._wire.send(pack(self._unsubscribe, removed.channel))

    def silent_s(self, key: str) -> float:
        """Return the seconds without new entries (`StreamReader.silent_s`); 0 for a stream that is not read here."""
        subscription = self._subscriptions.get(key.encode())
        return 0.0 if subscription is None else subscription.silent_s

    async def run(self) -> None:
        await keep_open(
            self.redis, self, patience_s=_PATIENCE_S, on_message=self._published, on_unsubscribed=self._unsubscribed
        )

    # -- PipelineUser
    async def before_open(self) -> None:
        if self._key_is_refused:
            await self._drop_refused()

    def opened(self, wire: RedisPipeline) -> None:
        self._wire = wire
        for subscription in self._subscriptions.values():
            subscription.read_at = 0.0
        self._subscribe_to(*self._subscriptions.values())
        self._schedule_read()

    def closed(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wire = None
        self._reading = None
        self._pending.clear()
        for subscription in self._subscriptions.values():
            subscription.break_silence()

    def failed(self, reason: str) -> None:
        if self._outage.failed(streams=len(self), error=reason):
            REDIS_OUTAGES.labels("read").inc()

    # -- channels
    def _subscribe_to(self, *streams: Subscription) -> None:
        """Subscribe to the streams. This precedes their first read, so that no entry is missed between the read and the
        publications.
        """
        for stream in streams:
            stream.lose_track()
        if self._wire is not None and self._subscribes and streams:
            self._pending.extend(_SUBSCRIBE for _ in streams)
            # One command per channel: a cluster rejects channels of several slots in one command.
            packed = b"".join([pack(self._subscribe, stream.channel) for stream in streams])
            self._wire.send(packed, replies=len(streams))

    def _published(self, channel: bytes, message: bytes) -> None:
        """Handle a publication. `message`: the entry's id, a space and the entry."""
        subscription = self._subscriptions.get(channel)
        if subscription is None:
            return
        entry_id, _, payload = message.partition(b" ")
        if entry_id == subscription.next_id:
            subscription.step()
            self._deliver(subscription, entry_id, payload)
        elif not subscription.has(entry_id):
            subscription.lose_track()
            subscription.read_at = 0.0
            self._schedule_read()

    def _unsubscribed(self, channel: bytes) -> bool:
        if not self._pending or self._pending[0] != channel:
            return False
        self._pending.popleft()
        return True

    # -- reading
    def _schedule_read(self) -> None:
        """Schedule `_read_due` for the end of this loop iteration. A read in progress schedules the next one itself."""
        if not self._scheduled and self._reading is None and self._wire is not None:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._read_due)

    def _read_due(self) -> None:
        """Read the streams that are due, or set a timer for the first of them."""
        self._scheduled = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._wire is None or self._reading is not None or not self._subscriptions:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        streams = self._subscriptions.values()
        if now >= self._quiet_at:
            self._quiet_at = now + self._quiet_s
            for stream in streams:
                if stream.was_published:
                    stream.break_silence()
                else:
                    stream.read_at = now
                stream.was_published = False
        due = [stream for stream in streams if stream.read_at <= now]
        if not due:
            first = min([stream.read_at for stream in streams])
            self._timer = loop.call_at(min(first, self._quiet_at), self._read_due)
            return
        self._reading = {stream.channel: stream for stream in due}
        self._pending.append(_READ)
        self._wire.send(read_command(due, self._count))

    @property
    def _count(self) -> int:
        return _COUNT_AFTER_FAILURE if self._outage.lasts else _COUNT

    def answered(self, reply: Any) -> None:
        is_read = self._pending.popleft() == _READ
        if isinstance(reply, ReplyError):
            self._refused(str(reply), reading=is_read)
        elif is_read:
            self._read(reply or {})

    def _read(self, reply: dict[bytes, Sequence[_Stored]]) -> None:
        asked, self._reading = self._reading or {}, None
        most = self._count
        if self._outage.lasts:
            self._outage.worked(streams=len(self))
        now = asyncio.get_running_loop().time()
        for key, subscription in asked.items():
            entries = reply.get(key, ())
            subscription.track()
            if entries:
                subscription.break_silence()
            else:
                subscription.found_nothing(now)
            for entry_id, content in entries:
                if self._subscriptions.get(key) is not subscription:
                    break
                if not subscription.has(entry_id):
                    subscription.move(entry_id)
                    if content is not None:
                        # field, value, field, value, …
                        self._deliver(subscription, entry_id, content[1] if content[0] == FIELD else b"")
            more = len(entries) >= most
            subscription.read_at = 0.0 if more else now + _POLL_S if entries else _NEVER
        self._schedule_read()

    def _deliver(self, subscription: Subscription, entry_id: bytes, payload: bytes) -> None:
        try:
            entry = decode(payload)
        except EntryError as error:
            self._on_bad_entry()
            where = fields(key=subscription.key, entry_id=entry_id.decode(), error=error.message)
            log.warning("invalid stream entry skipped", extra=where)
            return
        if entry is None:
            return
        try:
            subscription.sink(entry_id.decode(), entry)
        except Exception:
            # An error in one call must not stop the reads of all others.
            where = fields(key=subscription.key, entry_id=entry_id.decode())
            log.exception("failed to process stream entry", extra=where)

    # -- error replies
    def _refused(self, reason: str, *, reading: bool) -> None:
        if not reading and reason.partition(" ")[0] in _NOT_SUPPORTED:
            if self._subscribes:
                log.warning("SUBSCRIBE refused; polling instead", extra=fields(error=reason))
                self._subscribes, self._quiet_s = False, _POLL_S
            return
        self.failed(reason)
        self._key_is_refused = not refusal_is_passing(reason)
        if self._wire is not None:
            self._wire.abort()
        self.closed()

    async def _drop_refused(self) -> None:
        """Find the key that Redis does not allow to read, and stop reading it: it makes every combined read fail."""
        for key, subscription in list(self._subscriptions.items()):
            try:
                await xread(self.redis, {subscription.key: subscription.cursor.decode()}, count=1, block_ms=1)
            except ResponseError as error:
                if not is_passing(error) and self._subscriptions.get(key) is subscription:
                    self.remove(subscription.key)
                    where = fields(key=subscription.key, error=error_text(error))
                    log.error("stream read rejected; no longer reading the stream", extra=where)
        self._key_is_refused = False
