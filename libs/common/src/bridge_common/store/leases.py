"""Which relay drives which call: leases on Redis's clock, with a fencing token (epoch) that grows with each holder.

One mechanism serves three cases: a new call, a call whose relay died and a call that a draining relay hands over are
all "a lease past its deadline".
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
from bridge_common.redis.scripts import load_script
from bridge_common.streams.stream_entries import entries_of, xread
from bridge_common.wire.call_record import Status
from bridge_common.wire.keys import WAKE_LENGTH, WAKE_SAY, Keys

log = logging.getLogger(__name__)

LEASE_MS: Final = 1000
HEARTBEAT_MS: Final = 250
POLL_MS: Final = 100
LOOK_MS: Final = 2 * POLL_MS
"""How often to claim when it is known that no lease ends before. Less often would look to Redis like an outage."""
_LIVE: Final = frozenset(status.value for status in Status if status.live)
BEGINNING: Final = "0-0"
"""The cursor of a stream that nobody has read."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to drive a call until the lease ends; `epoch` is the fencing token of its downlink."""

    call_id: str
    epoch: int
    uplink_cursor: str = field(default=BEGINNING, compare=False)
    """How far the relay before had passed the caller's audio on; where to begin reading."""
    speaker: str = field(default="", compare=False)
    """The relay that handed the call over last and spoke on, as the owners table spells it; empty when none has."""


@dataclass(frozen=True, slots=True)
class OverdueLease:
    """A call whose relay has not renewed its lease; `owner_text` is how the table spells that relay."""

    call_id: str
    since_s: float
    owner_text: str

    @property
    def epoch(self) -> int:
        return int(self.owner_text.rpartition("|")[2] or 0)


class Leases:
    """One relay's view of the lease table. `owner` is the process's name."""

    def __init__(self, redis: Redis, keys: Keys, owner: str, lease_ms: int = LEASE_MS) -> None:
        self._redis = redis
        self._keys = keys
        self._owner = owner
        self._lease_ms = lease_ms
        self._next_end = math.inf
        """When the next lease ends, by the loop's time, as the last `claim` saw it."""
        self._offer = redis.register_script(load_script("bridge_common.store", "lease_offer"))
        self._claim = redis.register_script(load_script("bridge_common.store", "lease_claim"))
        self._renew = redis.register_script(load_script("bridge_common.store", "lease_renew"))
        self._release = redis.register_script(load_script("bridge_common.store", "lease_release"))
        self._stopped = redis.register_script(load_script("bridge_common.store", "lease_stopped"))
        self._overdue = redis.register_script(load_script("bridge_common.store", "lease_overdue"))
        self._end = redis.register_script(load_script("bridge_common.store", "lease_end"))

    def parts(self) -> list[Leases]:
        """One for each server, so that none waits for another: `claim` and `wait_wake` are of its calls alone."""
        parts = self._keys.parts()
        return [self] if parts == [self._keys] else [Leases(self._redis, p, self._owner, self._lease_ms) for p in parts]

    def has(self, call_id: str) -> bool:
        """Whether the call is one of this part's."""
        return self._keys.tag(call_id) in self._keys.all_tags()

    async def offer(self, call_id: str) -> bool:
        """Make the call claimable and wake the relays. Offering it again changes nothing.

        False when the call is not live by then: nobody but who offered it will take the offer back.
        """
        tag = self._keys.tag(call_id)
        async with redis_errors("offering a call"):
            status: bytes = await self._offer(
                keys=[self._keys.leases(tag), self._keys.wake(tag), self._keys.record(call_id)],
                args=[call_id, WAKE_LENGTH],
            )
        return status.decode() in _LIVE

    async def claim(self, limit: int) -> list[Claim]:
        """Up to `limit` calls whose lease is past its deadline, now ours for `lease_ms`.

        After Redis was away all leases are overdue at once: for two heartbeats calls that have an owner are left to it.
        When a later shard fails, the claims that were made already are returned: nobody else could drive those calls.
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
                log.warning("claiming stopped half way", extra=fields(claimed=len(claims), error=error.message))
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
        """Extend the leases; returns those that are lost: the call ended, somebody else drives it, or Redis forgot it.

        `uplink_cursors`: by call, the last entry of the uplink that no relay after us has to read again.
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
        """Those of the calls that no relay drives at the moment."""
        by_tag: dict[str, list[str]] = defaultdict(list)
        for call_id in call_ids:
            by_tag[self._keys.tag(call_id)].append(call_id)
        found: list[OverdueLease] = []
        for tag, ours in by_tag.items():
            async with redis_errors("looking for calls without a relay"):
                rows: Sequence[Any] = await self._overdue(keys=self._tables(tag), args=ours)
            found += [
                OverdueLease(rows[i].decode(), int(rows[i + 1]) / 1000, rows[i + 2].decode())
                for i in range(0, len(rows), 3)
            ]
        return found

    async def claimed(self, call_id: str) -> bool:
        """Whether any relay has taken the call."""
        async with redis_errors("looking for the relay of a call"):
            return bool(await self._redis.hexists(self._keys.owners(self._keys.tag(call_id)), call_id))

    async def release(self, claim: Claim, uplink_cursor: str = "", *, speaks_on: bool = False) -> None:
        """Let another relay take the call at once; the epoch stays ours until it does.

        `speaks_on`: and its downlink until that relay writes something there.
        """
        tag = self._keys.tag(claim.call_id)
        async with redis_errors("releasing a lease"):
            await self._release(
                keys=[*self._tables(tag), self._keys.wake(tag)],
                args=[claim.call_id, self.owner_text(claim), WAKE_LENGTH, uplink_cursor, int(speaks_on)],
            )

    async def note_stop(self, claim: Claim, audio: str, tones: str) -> None:
        """After a release with `speaks_on`: the last entries of the uplink (ids) that this relay has processed."""
        async with redis_errors("storing where the relay stopped"):
            await self._stopped(
                keys=[self._keys.owners(self._keys.tag(claim.call_id))],
                args=[claim.call_id, self.owner_text(claim), audio, tones],
            )

    async def stopped_at(self, claim: Claim) -> tuple[str, str] | None:
        """The entries that the claim's `speaker` stored by `note_stop`, or None."""
        async with redis_errors("loading where the previous owner stopped"):
            noted: bytes | None = await command(
                self._redis, "HGET", self._keys.owners(self._keys.tag(claim.call_id)), f"{claim.call_id}:stopped"
            )
        owner_text, audio, tones = noted.decode().rsplit(" ", 2) if noted else ("", "", "")
        return (audio, tones) if owner_text == claim.speaker != "" else None

    async def end(self, call_id: str) -> None:
        """The call needs no relay any more; whoever holds it learns it at its next renewal."""
        async with redis_errors("ending a lease"):
            await self._end(keys=self._tables(self._keys.tag(call_id)), args=[call_id])

    def owner_text(self, claim: Claim) -> str:
        """How the owners table spells us as the holder of this claim."""
        return f"{self._owner}|{claim.epoch}"

    async def wait_wake(self, blocking: Redis, cursors: dict[str, str], timeout_ms: int) -> list[str]:
        """Return when something became claimable or after `timeout_ms`; the ids of calls with something to be said.

        What ends of itself tells nobody: it returns as well when the next lease ends that the last `claim` saw. If that
        is past, some were left to others, and it returns after `POLL_MS`.

        `cursors` is the caller's memory of what it saw; start with an empty dict. The first wait ends at once when
        anything ever became claimable: waiting for news only would miss what comes between two waits.
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
