"""The inbox of call-control: a consumer group over one stream per shard, with deduplication and timers.

Entries that were read but not acknowledged stay in the pending entries list; when their consumer dies, another one
claims them. So every entry is processed at least once.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bridge_common.base.errors import EntryError, OutsideError
from bridge_common.base.log import fields
from bridge_common.redis.clients import MAX_BLOCK_MS, command, redis_errors
from bridge_common.redis.scripts import load_script
from bridge_common.streams.stream_entries import Fields, Reply, decode_fields, entries_of
from bridge_common.wire.entries import (
    Callback,
    Due,
    HangUp,
    InboxEntry,
    IncomingCall,
    MediaLost,
    MediaOpen,
    Restored,
    UplinkMissed,
    VoiceLost,
    VoiceReady,
)
from bridge_common.wire.entry_codec import FIELD, encode
from bridge_common.wire.keys import INBOX_GROUP, INBOX_LENGTH, SEEN_TTL_S, Keys

log = logging.getLogger(__name__)

_INBOX_KINDS: Final = (
    *(IncomingCall, Callback, VoiceReady, VoiceLost, MediaLost, MediaOpen, UplinkMissed, HangUp, Due, Restored),
)
_STUCK_MS: Final = 30_000
"""An entry pending for this long is claimed even from a live consumer, which is considered stuck."""
_MIN_IDLE_MS: Final = 200
FORGET_AFTER_MS: Final = 60_000
_PAGE: Final = 100


class _Consumer(TypedDict):
    name: bytes
    pending: int


class _Summary(TypedDict):
    consumers: list[_Consumer]


class _Pending(TypedDict):
    message_id: bytes


@dataclass(frozen=True, slots=True)
class Fired:
    """Number of timers that fired, and seconds until the next one is due (infinite if there is none)."""

    count: int
    next_in_s: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """One entry delivered to this consumer, to be acknowledged once it is processed."""

    tag: str
    entry_id: str
    entry: InboxEntry

    @property
    def at_ms(self) -> int:
        """Unix ms at which the entry was added to the inbox, on Redis's clock."""
        return int(self.entry_id.partition("-")[0])


class Inbox:
    def __init__(self, control: Redis, blocking: Redis, keys: Keys, consumer: str) -> None:
        """`keys`: of all shards, or of some of them (`parts`)."""
        self._control = control
        self._blocking = blocking
        self._keys = keys
        self._consumer = consumer
        self._held: set[tuple[str, str]] = set()
        """Entries delivered here and not acknowledged yet, as (tag, entry id)."""
        self._reply_lost = False
        self._put_once = control.register_script(load_script("bridge_common.store", "inbox_put_once"))
        self._put_as_owner = control.register_script(load_script("bridge_common.store", "inbox_put_as_owner"))
        self._acknowledge = control.register_script(load_script("bridge_common.store", "inbox_acknowledge"))
        self._forget_consumers = control.register_script(load_script("bridge_common.store", "inbox_forget_consumers"))
        self._fire_timers = control.register_script(load_script("bridge_common.store", "inbox_fire_timers"))

    def parts(self) -> list[Inbox]:
        """One inbox per server, so that none waits for another. Any of them can acknowledge any delivery."""
        parts = [Inbox(self._control, self._blocking, keys, self._consumer) for keys in self._keys.parts()]
        for part in parts:
            part._held = self._held
        return parts

    async def put(self, entry: InboxEntry) -> None:
        """Append the entry. After a lost connection it may be stored twice; delivery is at least once anyway."""
        inbox = self._keys.inbox(self._keys.tag(entry.call_id))
        async with redis_errors("writing to the inbox"):
            await self._control.xadd(inbox, {FIELD: encode(entry)}, maxlen=INBOX_LENGTH, approximate=True)

    async def put_once(self, entry: InboxEntry, *event_ids: str) -> bool:
        """Append the entry unless any of `event_ids` was seen in the last day. Atomic; False for a duplicate."""
        tag = self._keys.tag(entry.call_id)
        seen = [self._keys.seen(tag, event_id) for event_id in event_ids]
        async with redis_errors("writing to the inbox"):
            put = await self._put_once(
                keys=[self._keys.inbox(tag), *seen], args=[encode(entry), INBOX_LENGTH, SEEN_TTL_S]
            )
        return put is not None

    async def put_as_owner(self, entry: InboxEntry, owner_text: str) -> bool:
        """Append the entry if `owner_text` owns the call's lease (`Leases.owner_text`), else return False."""
        tag = self._keys.tag(entry.call_id)
        async with redis_errors("writing to the inbox"):
            put = await self._put_as_owner(
                keys=[self._keys.inbox(tag), self._keys.owners(tag)],
                args=[entry.call_id, owner_text, encode(entry), INBOX_LENGTH],
            )
        return bool(put)

    async def depth(self) -> int:
        """Number of entries that are not acknowledged yet, read or unread."""
        depth = 0
        for tag in self._keys.all_tags():
            async with redis_errors("looking at the inbox"):
                depth += await self._control.xlen(self._keys.inbox(tag))
        return depth

    async def ensure_group(self) -> None:
        """Create missing consumer groups, one per shard; also needed after Redis lost its data."""
        for tag in self._keys.all_tags():
            async with redis_errors("making the consumer group"):
                try:
                    await self._control.xgroup_create(self._keys.inbox(tag), INBOX_GROUP, id="0", mkstream=True)
                except ResponseError as error:
                    if not str(error).startswith("BUSYGROUP"):
                        raise

    async def read(self, block_ms: int = MAX_BLOCK_MS, count: int = 32) -> list[Delivery]:
        """New entries for this consumer, waiting up to `block_ms` for the first.

        If the reply to an earlier read was lost, its entries are returned first. Creates the groups again after Redis
        lost its data.
        """
        tags = self._keys.all_tags()
        async with redis_errors("reading the inbox"):
            try:
                if self._reply_lost:
                    lost = await self._read_lost()
                    self._reply_lost = False
                    if lost:
                        return lost
                self._reply_lost = True
                deliveries = await self._deliveries(await self._read_group(tags, ">", count, block_ms))
                self._reply_lost = False
            except ResponseError as error:
                if not _has_no_group(error):
                    raise
                self._reply_lost = False
                await self.ensure_group()
                return []
        return deliveries

    async def ack(self, delivery: Delivery) -> None:
        await self._ack(delivery.tag, delivery.entry_id)
        self._held.discard((delivery.tag, delivery.entry_id))

    async def has_pending(self) -> bool:
        """Whether any consumer has unacknowledged entries; without them there are no orphans."""
        for tag in self._keys.all_tags():
            try:
                async with redis_errors("looking for orphans"):
                    if (await self._pending(tag))["consumers"]:
                        return True
            except OutsideError as error:
                if not _has_no_group(error.__cause__):
                    raise
        return False

    async def claim_orphans(self, live_consumers: Collection[str], count: int = 32) -> list[Delivery]:
        """Claim up to `count` pending entries per shard of consumers that are dead or stuck."""
        deliveries: list[Delivery] = []
        for tag in self._keys.all_tags():
            try:
                async with redis_errors("claiming orphans"):
                    orphans = await self._orphans(tag, live_consumers, count)
                    if not orphans:
                        continue
                    # XCLAIM with min-idle 0 could take an entry from a replica that claimed it a moment ago: ask for
                    # an idle time, which a fresh claim resets.
                    claimed: list[tuple[bytes, Fields]] = await command(
                        self._control,
                        *("XCLAIM", self._keys.inbox(tag), INBOX_GROUP, self._consumer, _MIN_IDLE_MS),
                        *orphans,
                    )
            except OutsideError as error:
                if not _has_no_group(error.__cause__):
                    raise
                continue
            deliveries += await self._deliveries([(tag, entry_id.decode(), content) for entry_id, content in claimed])
        return deliveries

    async def forget_dead_consumers(self, live_consumers: Collection[str], idle_ms: int = FORGET_AFTER_MS) -> int:
        """Remove consumers that are idle for `idle_ms`, not live and without pending entries; returns their number."""
        forgotten = 0
        for tag in self._keys.all_tags():
            try:
                async with redis_errors("forgetting consumers"):
                    forgotten += await self._forget_consumers(
                        keys=[self._keys.inbox(tag)], args=[INBOX_GROUP, idle_ms, self._consumer, *live_consumers]
                    )
            except OutsideError as error:
                if not _has_no_group(error.__cause__):
                    raise
        return forgotten

    async def fire_due_timers(self, limit: int = 100) -> Fired:
        """Move due timers (`call_store.Deadlines`) into the inbox, up to `limit` per shard."""
        fired, next_in_ms = 0, math.inf
        for tag in self._keys.all_tags():
            async with redis_errors("firing timers"):
                count, in_ms = await self._fire_timers(
                    keys=[self._keys.timers(tag), self._keys.inbox(tag)], args=[limit, INBOX_LENGTH]
                )
            fired += count
            if in_ms >= 0:
                next_in_ms = min(next_in_ms, in_ms)
        return Fired(fired, next_in_ms / 1000)

    async def _read_group(
        self, tags: Sequence[str], after: str, count: int, block_ms: int | None
    ) -> list[tuple[str, str, Fields]]:
        """(tag, entry id, fields). `after`: `>` for undelivered entries, an id for those pending for this consumer."""
        by_inbox = {self._keys.inbox(tag): tag for tag in tags}
        # BLOCK 0 would block forever.
        block = () if block_ms is None else ("BLOCK", min(max(block_ms, 1), MAX_BLOCK_MS))
        reply: Reply | None = await command(
            self._blocking,
            *("XREADGROUP", "GROUP", INBOX_GROUP, self._consumer, "COUNT", count, *block, "STREAMS"),
            *by_inbox,
            *[after] * len(by_inbox),
        )
        return [(by_inbox[inbox], entry_id, content) for inbox, entry_id, content in entries_of(reply)]

    async def _read_lost(self) -> list[Delivery]:
        """Entries that Redis considers delivered to this consumer, but whose reply was lost."""
        lost: list[tuple[str, str, Fields]] = []
        for tag in self._keys.all_tags():
            after = "0"
            while pending := await self._read_group([tag], after, _PAGE, None):
                after = pending[-1][1]
                lost += [row for row in pending if row[:2] not in self._held]
        if lost:
            log.warning("entries of a lost reply read again", extra=fields(entries=len(lost)))
        return await self._deliveries(lost)

    async def _orphans(self, tag: str, live_consumers: Collection[str], count: int) -> list[bytes]:
        """Ids of entries that are pending for a dead consumer, or pending for too long."""
        summary = await self._pending(tag)
        ranges: list[tuple[int, tuple[bytes, ...]]] = [(_STUCK_MS, ())] if summary["consumers"] else []
        for row in summary["consumers"]:
            name = row["name"].decode()
            if name not in live_consumers and name != self._consumer:
                ranges.append((_MIN_IDLE_MS, (row["name"],)))
        found: list[bytes] = []
        for idle_ms, consumer in ranges:
            rows: list[_Pending] = await command(
                self._control,
                *("XPENDING", self._keys.inbox(tag), INBOX_GROUP, "IDLE", idle_ms, "-", "+", count),
                *consumer,
                parse_detail=True,
            )
            found += [row["message_id"] for row in rows]
        return found[:count]

    async def _pending(self, tag: str) -> _Summary:
        summary: _Summary = await command(self._control, "XPENDING", self._keys.inbox(tag), INBOX_GROUP)
        return summary

    async def _deliveries(self, stored: Sequence[tuple[str, str, Fields]]) -> list[Delivery]:
        """Decode the entries. Invalid ones are acknowledged at once: no consumer can process them."""
        deliveries: list[Delivery] = []
        for tag, entry_id, content in stored:
            try:
                entry = decode_fields(content)
            except EntryError:
                entry = None
            if isinstance(entry, _INBOX_KINDS):
                deliveries.append(Delivery(tag, entry_id, entry))
            else:
                await self._discard(tag, entry_id)
        self._held.update((delivery.tag, delivery.entry_id) for delivery in deliveries)
        return deliveries

    async def _discard(self, tag: str, entry_id: str) -> None:
        log.warning("bad entry skipped", extra=fields(tag=tag, entry_id=entry_id))
        try:
            await self._ack(tag, entry_id)
        except OutsideError as error:
            # The other entries must still be delivered; this one is claimed as an orphan later.
            log.warning("bad entry not acknowledged", extra=fields(entry_id=entry_id, error=error.message))

    async def _ack(self, tag: str, entry_id: str) -> None:
        inbox = self._keys.inbox(tag)
        async with redis_errors("acknowledging"):
            await self._acknowledge(keys=[inbox], args=[INBOX_GROUP, entry_id])


def _has_no_group(error: BaseException | None) -> bool:
    return isinstance(error, ResponseError) and str(error).startswith("NOGROUP")
