"""The inbox of call-control: a consumer group over one stream a shard, with de-duplication and timers.

What is read and not acknowledged stays in the pending entries list; when its consumer's process is gone, another
claims it. So every entry is acted on at least once, whichever process dies.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bridge_common import scripts
from bridge_common.entries import (
    FIELD,
    Callback,
    Due,
    HangUp,
    InboxEntry,
    IncomingCall,
    MediaLost,
    MediaOpen,
    VoiceLost,
    VoiceReady,
    decode,
    encode,
)
from bridge_common.errors import EntryError
from bridge_common.keys import INBOX_GROUP, INBOX_LENGTH, SEEN_TTL_S, Keys
from bridge_common.redis_clients import MAX_BLOCK_MS, command, redis_errors
from bridge_common.stream_reader import Fields, Reply, entries_of

_INBOX_KINDS: Final = (IncomingCall, Callback, VoiceReady, VoiceLost, MediaLost, MediaOpen, HangUp, Due)
_STUCK_MS: Final = 30_000
"""An entry pending this long is claimed even from a live consumer: it hangs."""


class _Pending(TypedDict):
    message_id: bytes
    consumer: bytes
    time_since_delivered: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One entry handed to this consumer; acknowledge it when it was acted on."""

    tag: str
    entry_id: str
    entry: InboxEntry


class Inbox:
    def __init__(self, control: Redis, blocking: Redis, keys: Keys, consumer: str) -> None:
        self._control = control
        self._blocking = blocking
        self._keys = keys
        self._consumer = consumer
        self._put_once = control.register_script(scripts.PUT_ONCE)
        self._set_timer = control.register_script(scripts.SET_TIMER)
        self._fire_timers = control.register_script(scripts.FIRE_TIMERS)

    async def put(self, entry: InboxEntry) -> None:
        inbox = self._keys.inbox(self._keys.tag(entry.call_id))
        async with redis_errors("writing to the inbox"):
            await self._control.xadd(inbox, {FIELD: encode(entry)}, maxlen=INBOX_LENGTH, approximate=True)

    async def put_once(self, entry: InboxEntry, *event_ids: str) -> bool:
        """Append the entry unless any of `event_ids` was seen in the last day; one script, so nothing is half done."""
        tag = self._keys.tag(entry.call_id)
        seen = [self._keys.seen(tag, event_id) for event_id in event_ids]
        async with redis_errors("writing to the inbox"):
            put = await self._put_once(
                keys=[self._keys.inbox(tag), *seen], args=[encode(entry), INBOX_LENGTH, SEEN_TTL_S]
            )
        return put is not None

    async def ensure_group(self) -> None:
        """Make the consumer group of every shard if it is missing (also after Redis came back empty)."""
        for tag in self._keys.all_tags():
            try:
                async with redis_errors("making the consumer group"):
                    await self._control.xgroup_create(self._keys.inbox(tag), INBOX_GROUP, id="0", mkstream=True)
            except Exception as error:
                if not (isinstance(error.__cause__, ResponseError) and "BUSYGROUP" in str(error.__cause__)):
                    raise

    async def read(self, block_ms: int = MAX_BLOCK_MS, count: int = 32) -> list[Delivery]:
        """New entries for this consumer, waiting up to `block_ms` for the first."""
        by_inbox = {self._keys.inbox(tag): tag for tag in self._keys.all_tags()}
        async with redis_errors("reading the inbox"):
            reply: Reply | None = await command(
                self._blocking,
                *("XREADGROUP", "GROUP", INBOX_GROUP, self._consumer, "COUNT", count),
                *("BLOCK", min(block_ms, MAX_BLOCK_MS), "STREAMS"),
                *by_inbox,
                *[">"] * len(by_inbox),
            )
        deliveries: list[Delivery] = []
        for inbox, entry_id, content in entries_of(reply):
            deliveries += await self._deliveries(by_inbox[inbox], [(entry_id, content)])
        return deliveries

    async def ack(self, delivery: Delivery) -> None:
        await self._ack(delivery.tag, delivery.entry_id)

    async def claim_orphans(self, live_consumers: Collection[str], count: int = 32) -> list[Delivery]:
        """Pending entries of consumers that no longer live (or that hang), now this consumer's."""
        deliveries: list[Delivery] = []
        for tag in self._keys.all_tags():
            inbox = self._keys.inbox(tag)
            async with redis_errors("claiming orphans"):
                pending: list[_Pending] = await command(
                    self._control, "XPENDING", inbox, INBOX_GROUP, "-", "+", count * 4, parse_detail=True
                )
                orphans = [
                    row["message_id"]
                    for row in pending
                    if row["consumer"].decode() not in live_consumers or row["time_since_delivered"] > _STUCK_MS
                ][:count]
                if not orphans:
                    continue
                # XCLAIM with min-idle 0 could take an entry from a replica that claimed it a moment ago: ask for the
                # idle time of one beat, which a fresh claim resets.
                claimed: list[tuple[bytes, Fields]] = await command(
                    self._control, "XCLAIM", inbox, INBOX_GROUP, self._consumer, 200, *orphans
                )
            deliveries += await self._deliveries(tag, [(entry_id.decode(), content) for entry_id, content in claimed])
        return deliveries

    async def set_timer(self, due: Due, in_ms: int) -> None:
        """Put `due` into the inbox after `in_ms`, whatever processes live then."""
        tag = self._keys.tag(due.call_id)
        async with redis_errors("setting a timer"):
            await self._set_timer(keys=[self._keys.timers(tag)], args=[encode(due), in_ms])

    async def fire_due_timers(self, limit: int = 100) -> int:
        """Move timers that are due into the inbox; returns how many."""
        fired = 0
        for tag in self._keys.all_tags():
            async with redis_errors("firing timers"):
                fired += await self._fire_timers(
                    keys=[self._keys.timers(tag), self._keys.inbox(tag)], args=[limit, INBOX_LENGTH]
                )
        return fired

    async def _deliveries(self, tag: str, stored: Sequence[tuple[str, Fields]]) -> list[Delivery]:
        """Decode; what is no inbox entry can never be acted on and is acknowledged at once."""
        deliveries: list[Delivery] = []
        for entry_id, content in stored:
            try:
                entry = decode(content.get(FIELD, b""))
            except EntryError:
                entry = None
            if isinstance(entry, _INBOX_KINDS):
                deliveries.append(Delivery(tag, entry_id, entry))
            else:
                await self._ack(tag, entry_id)
        return deliveries

    async def _ack(self, tag: str, entry_id: str) -> None:
        inbox = self._keys.inbox(tag)
        async with redis_errors("acknowledging"):
            await self._control.xack(inbox, INBOX_GROUP, entry_id)
            await self._control.xdel(inbox, entry_id)
