"""Call ownership: leases on Redis's clock, with a fencing token (epoch) that grows with each owner.

One mechanism covers three cases: a new call, a call whose relay died, and a call that a draining relay hands over. In
each case the lease is past its deadline.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Redis

from bridge_common.base.errors import OutsideError
from bridge_common.base.log import fields
from bridge_common.redis.clients import MAX_BLOCK_MS, command, redis_errors
from bridge_common.redis.scripts import script_folder
from bridge_common.streams.stream_entries import entries_of, xread
from bridge_common.wire.call_record import Status
from bridge_common.wire.keys import WAKE_LENGTH, WAKE_SAY, Keys

log = logging.getLogger(__name__)

LEASE_MS: Final = 1000
HEARTBEAT_MS: Final = 250
POLL_MS: Final = 100
LOOK_MS: Final = 2 * POLL_MS
"""Maximum interval between claims while no lease expires. A longer one would count as an outage (`owners_first`)."""
_LIVE: Final = frozenset(status.value for status in Status if status.live)
BEGINNING: Final = "0-0"
"""Cursor of a stream that has not been read yet."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The exclusive right to handle a call until the lease ends; `epoch` is the fencing token of its downlink."""

    call_id: str
    epoch: int
    uplink_cursor: str = field(default=BEGINNING, compare=False)
    """Position from which to read: the last entry of the caller's audio that the previous owner forwarded."""
    previous_owner: str = field(default="", compare=False)
    """Owner that kept the downlink after it released the lease (`owner|epoch`); empty if there is none."""


@dataclass(frozen=True, slots=True)
class OverdueLease:
    """A call whose relay has not renewed its lease; `owner_text` is its entry in the owners table."""

    call_id: str
    since_s: float | None
    """None: the call has no lease."""
    owner_text: str

    @property
    def epoch(self) -> int:
        return int(self.owner_text.rpartition("|")[2] or 0)


class Leases:
    """The lease table as one relay uses it. `owner` is the name of the process."""

    def __init__(self, redis: Redis, keys: Keys, owner: str, lease_ms: int = LEASE_MS) -> None:
        self._redis = redis
        self._keys = keys
        self._owner = owner
        self._lease_ms = lease_ms
        self._next_end = math.inf
        """Loop time at which the next lease expires, as of the last `claim`."""
        script = script_folder(redis, "bridge_common.store")
        self._offer = script("lease_offer")
        self._claim = script("lease_claim")
        self._renew = script("lease_renew")
        self._release = script("lease_release")
        self._stopped = script("lease_stopped")
        self._overdue = script("lease_overdue")
        self._end = script("lease_end")

    def parts(self) -> list[Leases]:
        """Return one instance per server, so that an unavailable server delays only its own calls. `claim` and
        `wait_wake` of an instance cover only the calls of its server.
        """
        parts = self._keys.parts()
        return [self] if parts == [self._keys] else [Leases(self._redis, p, self._owner, self._lease_ms) for p in parts]

    def has(self, call_id: str) -> bool:
        """Whether the call's shard belongs to this part."""
        return self._keys.tag(call_id) in self._keys.all_tags()

    async def offer(self, call_id: str) -> bool:
        """Make the call claimable and wake the relays. Idempotent.

        Returns False if the call is not live any more: the caller of this method must then withdraw the offer (`end`).
        """
        tag = self._keys.tag(call_id)
        async with redis_errors("offering a call"):
            status: bytes = await self._offer(
                keys=[self._keys.leases(tag), self._keys.wake(tag), self._keys.record(call_id)],
                args=[call_id, WAKE_LENGTH],
            )
        return status.decode() in _LIVE

    async def claim(self, limit: int) -> list[Claim]:
        """Claim up to `limit` calls whose lease is past its deadline, for `lease_ms`.

        After a Redis outage all leases are overdue at once: for two heartbeats only calls without an owner are claimed.
        If a later shard fails, the claims made so far are returned, because no other relay can handle those calls.
        """
        claims: list[Claim] = []
        self._next_end = math.inf
        for tag in self._keys.all_tags():
            if limit - len(claims) <= 0:
                self._saw_end(0)
                break
            try:
                async with redis_errors("claiming calls"):
                    next_in_ms, found = await self._claim(
                        keys=self._tables(tag), args=[self._owner, limit - len(claims), self._lease_ms]
                    )
            except OutsideError as error:
                if not claims:
                    raise
                log.warning(
                    "failed to claim calls on some shards", extra=fields(claimed=len(claims), error=error.message)
                )
                self._saw_end(0)
                break
            if next_in_ms >= 0:
                self._saw_end(next_in_ms)
            claims += [
                Claim(found[i].decode(), int(found[i + 1]), found[i + 2].decode(), found[i + 3].decode())
                for i in range(0, len(found), 4)
            ]
        return claims

    def _saw_end(self, in_ms: int) -> None:
        self._next_end = min(self._next_end, asyncio.get_running_loop().time() + in_ms / 1000)

    async def renew(self, claims: Iterable[Claim], uplink_cursors: Mapping[str, str] | None = None) -> list[Claim]:
        """Extend the leases. Returns the lost ones: the call ended, another relay owns it, or Redis lost its data.

        `uplink_cursors`: by call id, the last uplink entry that a later owner does not have to read again.
        """
        by_tag: dict[str, list[Claim]] = defaultdict(list)
        for claim in claims:
            by_tag[self._keys.tag(claim.call_id)].append(claim)
        lost: list[Claim] = []
        for tag, ours in by_tag.items():
            args: list[str | int] = [self._lease_ms, self._owner]
            for claim in ours:
                args += [claim.call_id, claim.epoch, (uplink_cursors or {}).get(claim.call_id, "")]
            async with redis_errors("renewing leases"):
                gone = {call_id.decode() for call_id in await self._renew(keys=self._tables(tag), args=args)}
            lost += [claim for claim in ours if claim.call_id in gone]
        return lost

    async def overdue(self, call_ids: Iterable[str]) -> list[OverdueLease]:
        """Return the expired and missing leases of `call_ids`. These calls currently have no live relay."""
        by_tag: dict[str, list[str]] = defaultdict(list)
        for call_id in call_ids:
            by_tag[self._keys.tag(call_id)].append(call_id)
        found: list[OverdueLease] = []
        for tag, ours in by_tag.items():
            async with redis_errors("checking for calls without a relay"):
                rows: Sequence[Any] = await self._overdue(keys=self._tables(tag), args=ours)
            found += [
                OverdueLease(rows[i].decode(), _seconds(int(rows[i + 1])), rows[i + 2].decode())
                for i in range(0, len(rows), 3)
            ]
        return found

    async def count(self) -> int:
        """Return the number of calls that need a relay, claimed or not. One command for each shard."""
        async with redis_errors("counting the calls of relays"):
            counts = await asyncio.gather(
                *(command(self._redis, "ZCARD", self._keys.leases(tag)) for tag in self._keys.all_tags())
            )
        return sum(counts)

    async def claimed(self, call_id: str) -> bool:
        """Whether any relay has claimed the call."""
        async with redis_errors("loading the owner of a call"):
            return bool(await self._redis.hexists(self._keys.owners(self._keys.tag(call_id)), call_id))

    async def release(self, claim: Claim, uplink_cursor: str = "", *, keep_downlink: bool = False) -> None:
        """Allow another relay to claim the call at once. The epoch of this claim stays valid until then.

        `keep_downlink`: this relay also keeps the downlink until the new owner writes to it (make-before-break).
        """
        tag = self._keys.tag(claim.call_id)
        async with redis_errors("releasing a lease"):
            await self._release(
                keys=[*self._tables(tag), self._keys.wake(tag)],
                args=[claim.call_id, self.owner_text(claim), WAKE_LENGTH, uplink_cursor, int(keep_downlink)],
            )

    async def note_stop(self, claim: Claim, audio: str, tones: str) -> None:
        """Store the ids of the last uplink entries that this relay processed. Call it after a release with
        `keep_downlink`.
        """
        async with redis_errors("storing the last processed uplink entries"):
            await self._stopped(
                keys=[self._keys.owners(self._keys.tag(claim.call_id))],
                args=[claim.call_id, self.owner_text(claim), audio, tones],
            )

    async def stopped_at(self, claim: Claim) -> tuple[str, str] | None:
        """Return the ids (audio, tones) that the claim's `previous_owner` stored with `note_stop`, or None."""
        async with redis_errors("loading the last uplink entries that the previous owner processed"):
            noted: bytes | None = await command(
                self._redis, "HGET", self._keys.owners(self._keys.tag(claim.call_id)), f"{claim.call_id}:stopped"
            )
        owner_text, audio, tones = noted.decode().rsplit(" ", 2) if noted else ("", "", "")
        return (audio, tones) if owner_text == claim.previous_owner != "" else None

    async def end(self, call_id: str) -> None:
        """Remove the lease of a call that needs no relay any more. Its owner gets it as lost at the next renewal."""
        async with redis_errors("ending a lease"):
            await self._end(keys=self._tables(self._keys.tag(call_id)), args=[call_id])

    def owner_text(self, claim: Claim) -> str:
        """Return the value in the owners table for this relay as the owner of the claim."""
        return f"{self._owner}|{claim.epoch}"

    async def wait_wake(self, blocking: Redis, cursors: dict[str, str], timeout_ms: int) -> list[str]:
        """Wait for a wake-up notification, for up to `timeout_ms`. Returns the ids of calls with new announcements.

        The expiry of a lease causes no notification, so this also returns when the next lease expires that the last
        `claim` found. If that time is past, `claim` has left calls to other relays, and this returns after `POLL_MS`.

        `cursors` is state of the caller; start with an empty dict. The first wait returns at once if there ever was a
        notification, so that none between two waits is missed.
        """
        if not cursors:
            cursors.update({self._keys.wake(tag): BEGINNING for tag in self._keys.all_tags()})
        end_in_ms = (self._next_end - asyncio.get_running_loop().time()) * 1000
        block_ms = min(timeout_ms, MAX_BLOCK_MS, end_in_ms if end_in_ms > 0 else POLL_MS)
        async with redis_errors("waiting for calls"):
            reply = await xread(blocking, cursors, count=WAKE_LENGTH, block_ms=math.ceil(block_ms))
        calls: list[str] = []
        for key, entry_id, content in entries_of(reply):
            cursors[key] = entry_id
            if WAKE_SAY in content:
                calls.append(content[WAKE_SAY].decode())
        return calls

    def _tables(self, tag: str) -> list[str]:
        return [self._keys.leases(tag), self._keys.owners(tag)]


def _seconds(ms: int) -> float | None:
    return None if ms < 0 else ms / 1000
