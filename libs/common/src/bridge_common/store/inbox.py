"""The inbox of call-control: a consumer group over one stream per shard, with deduplication and timers.

Entries that were read but not acknowledged stay in the pending entries list; when their consumer dies, another one
claims them. So every entry is processed at least once.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bridge_common.base.errors import EntryError, OutsideError
from bridge_common.base.log import fields
from bridge_common.redis.clients import MAX_BLOCK_MS, command, redis_errors
from bridge_common.redis.scripts import script_folder
from bridge_common.store.inbox_sender import InboxSender
from bridge_common.streams.stream_entries import Fields, Reply, decode_fields, entries_of
from bridge_common.wire.entries import InboxEntry
from bridge_common.wire.keys import INBOX_GROUP, INBOX_LENGTH, Keys

log = logging.getLogger(__name__)

STUCK_MS: Final = 30_000
MIN_IDLE_MS: Final = 200
_PAGE: Final = 100
"""Entries per read after a reply from Redis was lost."""


@dataclass(frozen=True, slots=True)
class InboxTiming:
    stuck_ms: int = STUCK_MS
    """An entry pending for this long is claimed even from a live consumer, which is considered stuck."""
    min_idle_ms: int = MIN_IDLE_MS
    """An entry is claimed from a dead consumer when it has been pending for this long."""
    forget_after_ms: int = 60_000
    """A dead consumer without pending entries is removed after this time."""


_TIMING: Final = InboxTiming()


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


class Inbox(InboxSender):
    def __init__(
        self,
        control: Redis,
        blocking: Redis,
        keys: Keys,
        consumer: str,
        *,
        timing: InboxTiming = _TIMING,
        held: set[tuple[str, str]] | None = None,
    ) -> None:
        """Create the inbox of one consumer. `keys`: of all shards, or of some of them (`parts`). `held`: entries
        delivered to this process and not acknowledged yet, as (tag, entry id).
        """
        super().__init__(control, keys)
        self._blocking = blocking
        self._consumer = consumer
        self._timing = timing
        self._held: set[tuple[str, str]] = set() if held is None else held
        self._reply_lost = False
        script = script_folder(control, "bridge_common.store")
        self._acknowledge = script("inbox_acknowledge")
        self._forget_consumers = script("inbox_forget_consumers")
        self._fire_timers = script("inbox_fire_timers")

    def parts(self) -> list[Inbox]:
        """Return one inbox per server, so that an unavailable server delays only its own entries. Any of them can
        acknowledge any delivery.
        """
        return [
            Inbox(self._control, self._blocking, keys, self._consumer, timing=self._timing, held=self._held)
            for keys in self._keys.parts()
        ]

    async def depth(self) -> int:
        """Return the number of entries that are not acknowledged yet, read or unread."""
        depth = 0
        for tag in self._keys.all_tags():
            async with redis_errors("measuring the inbox"):
                depth += await self._control.xlen(self._keys.inbox(tag))
        return depth

    async def ensure_group(self) -> None:
        """Create missing consumer groups, one per shard; also needed after Redis lost its data."""
        for tag in self._keys.all_tags():
            async with redis_errors("creating the consumer group"):
                try:
                    await self._control.xgroup_create(self._keys.inbox(tag), INBOX_GROUP, id="0", mkstream=True)
                except ResponseError as error:
                    if not str(error).startswith("BUSYGROUP"):
                        raise

    async def read(self, block_ms: int = MAX_BLOCK_MS, count: int = 32) -> list[Delivery]:
        """Return new entries for this consumer; wait up to `block_ms` for the first.

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
        """Whether any consumer has unacknowledged entries. If not, there are no orphans."""
        for tag in self._keys.all_tags():
            async with _if_group_exists("checking for orphaned inbox entries"):
                if await self._busy_consumers(tag):
                    return True
        return False

    async def claim_orphans(self, live_consumers: Collection[str], count: int = 32) -> list[Delivery]:
        """Claim up to `count` pending entries per shard of consumers that are dead or stuck."""
        deliveries: list[Delivery] = []
        for tag in self._keys.all_tags():
            claimed: list[tuple[bytes, Fields]] = []
            async with _if_group_exists("claiming orphaned inbox entries"):
                orphans = await self._orphans(tag, live_consumers, count)
                if orphans:
                    # XCLAIM with min-idle 0 could take an entry from a replica that claimed it a moment ago: require
                    # an idle time, which a fresh claim resets.
                    claimed = await command(
                        self._control,
                        *("XCLAIM", self._keys.inbox(tag), INBOX_GROUP, self._consumer, self._timing.min_idle_ms),
                        *orphans,
                    )
            deliveries += await self._deliveries([(tag, entry_id.decode(), content) for entry_id, content in claimed])
        return deliveries

    async def forget_dead_consumers(self, live_consumers: Collection[str]) -> int:
        """Remove consumers that are idle (`InboxTiming`), not live and without pending entries. Returns
        their number.
        """
        forgotten = 0
        for tag in self._keys.all_tags():
            async with _if_group_exists("deleting dead inbox consumers"):
                forgotten += await self._forget_consumers(
                    keys=[self._keys.inbox(tag)],
                    args=[INBOX_GROUP, self._timing.forget_after_ms, self._consumer, *live_consumers],
                )
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
        """Read from the group and return (tag, entry id, fields). `after`: `>` for undelivered entries, an id for those
        pending for this consumer.
        """
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
        """Return entries that Redis considers delivered to this consumer, although their reply was lost."""
        lost: list[tuple[str, str, Fields]] = []
        for tag in self._keys.all_tags():
            after = "0"
            while pending := await self._read_group([tag], after, _PAGE, None):
                after = pending[-1][1]
                lost += [row for row in pending if row[:2] not in self._held]
        if lost:
            log.warning("reply from Redis was lost; read its inbox entries again", extra=fields(entries=len(lost)))
        return await self._deliveries(lost)

    async def _orphans(self, tag: str, live_consumers: Collection[str], count: int) -> list[bytes]:
        """Return the ids of entries that are pending for a dead consumer, or pending for too long."""
        busy = await self._busy_consumers(tag)
        ranges: list[tuple[int, tuple[str, ...]]] = [(self._timing.stuck_ms, ())] if busy else []
        ranges += [
            (self._timing.min_idle_ms, (name,)) for name in busy if name not in {*live_consumers, self._consumer}
        ]
        found: list[bytes] = []
        for idle_ms, consumer in ranges:
            rows: list[dict[str, bytes]] = await command(
                self._control,
                *("XPENDING", self._keys.inbox(tag), INBOX_GROUP, "IDLE", idle_ms, "-", "+", count),
                *consumer,
                parse_detail=True,
            )
            found += [row["message_id"] for row in rows]
        return found[:count]

    async def _busy_consumers(self, tag: str) -> list[str]:
        """Return the consumers with pending entries."""
        summary: dict[str, Any] = await command(self._control, "XPENDING", self._keys.inbox(tag), INBOX_GROUP)
        return [row["name"].decode() for row in summary["consumers"]]

    async def _deliveries(self, stored: Sequence[tuple[str, str, Fields]]) -> list[Delivery]:
        """Decode the entries. Invalid ones are acknowledged at once, because no consumer can process them."""
        deliveries: list[Delivery] = []
        for tag, entry_id, content in stored:
            try:
                entry = decode_fields(content)
            except EntryError:
                entry = None
            if isinstance(entry, InboxEntry):
                deliveries.append(Delivery(tag, entry_id, entry))
            else:
                await self._discard(tag, entry_id)
        self._held.update((delivery.tag, delivery.entry_id) for delivery in deliveries)
        return deliveries

    async def _discard(self, tag: str, entry_id: str) -> None:
        log.warning("invalid inbox entry skipped", extra=fields(tag=tag, entry_id=entry_id))
        try:
            await self._ack(tag, entry_id)
        except OutsideError as error:
            # The other entries must still be delivered; this one is claimed as an orphan later.
            where = fields(entry_id=entry_id, error=error.message)
            log.warning("failed to acknowledge invalid inbox entry", extra=where)

    async def _ack(self, tag: str, entry_id: str) -> None:
        inbox = self._keys.inbox(tag)
        async with redis_errors("acknowledging an inbox entry"):
            await self._acknowledge(keys=[inbox], args=[INBOX_GROUP, entry_id])


@asynccontextmanager
async def _if_group_exists(doing: str) -> AsyncIterator[None]:
    """Convert errors like `redis_errors`; if the consumer group does not exist, skip the rest of the block."""
    try:
        async with redis_errors(doing):
            yield
    except OutsideError as error:
        if not _has_no_group(error.__cause__):
            raise


def _has_no_group(error: BaseException | None) -> bool:
    return isinstance(error, ResponseError) and str(error).startswith("NOGROUP")
