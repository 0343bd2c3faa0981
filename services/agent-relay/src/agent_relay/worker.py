"""Claims calls up to the capacity and keeps their leases, each in a task of its own, so that neither waits for the
other; hands the calls over when the process drains."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from agent_relay import metrics
from agent_relay.desk import Desk
from agent_relay.relay import FAILED, LEASE_LOST, RELEASED, Relay, open_relay
from bridge_common import telemetry
from bridge_common.call_record import CallRecord
from bridge_common.entries import Restored, VoiceReady
from bridge_common.errors import BridgeError, OutsideError
from bridge_common.fleet import BEAT_S, Fleet
from bridge_common.leases import HEARTBEAT_MS, LEASE_MS, POLL_MS, Claim, Leases
from bridge_common.log import fields
from bridge_common.outage import Outage

log = logging.getLogger(__name__)

KIND: Final = "agent-relay"
_HEARTBEAT_S: Final = HEARTBEAT_MS / 1000
_SILENT_AFTER_S: Final = 0.8 * LEASE_MS / 1000
"""Without a renewal for so long the call may soon be somebody else's."""
_WATCH_S: Final = 0.05
_LOAD_S: Final = 2.0
_PATIENCE_S: Final = 5.0
"""How long a draining relay waits for a call to fall quiet before it hands it over in the middle of a turn."""
_FLUSH_S: Final = 1.0
_REMEMBER_S: Final = 1.0
"""How old the memory of a call's record may be."""
_STAMP_S: Final = 1.0
_OVERLAP_S: Final = 8.0
"""How long a call that is handed over goes on here until the next relay's voice session is ready."""
_OVERLAP_POLL_S: Final = 0.03
_YIELD_S: Final = 0.04
"""A relay that is full lets all others claim for so long before it does, a half-full one for half of it."""
_SHARE: Final = 4
"""At once at most this part of the room is filled, so that the calls of a dead relay spread."""


@dataclass(slots=True)
class Holding:
    claim: Claim
    renewed_at: float
    task: asyncio.Task[None] | None = None
    relay: Relay | None = None
    record: CallRecord | None = None
    """As it was a moment ago, for the case that Redis loses it."""
    handing_over: asyncio.Task[None] | None = None

    def stop(self, why: str) -> None:
        if self.relay is not None:
            self.relay.stop(why)
        elif self.task is not None:
            self.task.cancel()


class Worker:
    """`run` works until cancelled. `drain` first admits nothing new, then returns when no call is left here."""

    def __init__(self, desk: Desk, fleet: Fleet, blocking: Redis, *, name: str, capacity: int) -> None:
        self._desk = desk
        self._fleet = fleet
        self._blocking = blocking
        self._name = name
        self._capacity = capacity
        self._holdings: dict[Claim, Holding] = {}
        self._draining = False
        self._asked_for = 0
        """Calls that may come of claims that are under way."""
        self._beating = Outage(log, "the heartbeat")

    @property
    def active(self) -> int:
        return len(self._holdings)

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for alone in (self._watch_calls(), self._beat(), self._stamp()):
                    tasks.create_task(alone)
                # A server that is away costs no call of another.
                for part in self._desk.leases.parts():
                    for loop in (self._claim_calls(part), self._renew_leases(part), self._remember(part)):
                        tasks.create_task(loop)
        finally:
            await self._stop_all()

    async def _stop_all(self) -> None:
        """Silently: whoever drives the calls next finds the leases past their deadlines."""
        tasks = [holding.task for holding in self._holdings.values() if holding.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- claiming
    async def _claim_calls(self, leases: Leases) -> None:
        outage = Outage(log, "claiming calls")
        cursors: dict[str, str] = {}
        while True:
            try:
                if not self._draining:
                    await self._claim_some(leases)
                self._tell_of_says(await leases.wait_wake(self._blocking, cursors, POLL_MS))
                outage.worked()
            except OutsideError as error:
                outage.failed(error=error.message)
                await asyncio.sleep(POLL_MS / 1000)

    def _tell_of_says(self, call_ids: Sequence[str]) -> None:
        for claim, holding in self._holdings.items():
            if holding.relay is not None and claim.call_id in call_ids:
                holding.relay.says.listen()

    async def _claim_some(self, leases: Leases) -> None:
        """The least loaded comes first."""
        claimed = limit = 0
        while claimed == limit and self._room > 0:
            await asyncio.sleep(_YIELD_S * len(self._holdings) / self._capacity)
            if self._draining or self._room <= 0:
                return
            limit = math.ceil(self._room / _SHARE)
            self._asked_for += limit
            try:
                claimed = await self._claim(leases, limit)
            finally:
                self._asked_for -= limit

    @property
    def _room(self) -> int:
        return self._capacity - len(self._holdings) - self._asked_for

    async def _claim(self, leases: Leases, limit: int) -> int:
        began = self._now()
        claims = await leases.claim(limit)
        for claim in claims:
            holding = self._holdings[claim] = Holding(claim, began)
            holding.task = asyncio.create_task(self._drive(holding))
            telemetry.ACTIVE_CALLS.set(len(self._holdings))
        return len(claims)

    async def _drive(self, holding: Holding) -> None:
        """One claimed call, from its record to its end here."""
        claim = holding.claim
        why = FAILED
        try:
            record = await self._load(claim)
            if record is None:
                await self._desk.leases.end(claim.call_id)
                return
            holding.record = record
            log.info("call claimed", extra=fields(call_id=claim.call_id, epoch=claim.epoch))
            holding.relay = await open_relay(self._desk, claim, record)
            why = await holding.relay.run()
            log.info("call left", extra=fields(call_id=claim.call_id, why=why))
            if why == RELEASED:
                await self._release(claim)
        except (BridgeError, TimeoutError) as error:
            log.warning("call cannot be driven", extra=fields(call_id=claim.call_id, error=str(error)))
        except Exception:
            log.exception("call cannot be driven", extra=fields(call_id=claim.call_id))
        finally:
            if holding.handing_over is not None:
                holding.handing_over.cancel()
            del self._holdings[claim]
            telemetry.ACTIVE_CALLS.set(len(self._holdings))

    async def _load(self, claim: Claim) -> CallRecord | None:
        """The record, or None for a call that needs no relay any more."""
        async with asyncio.timeout(_LOAD_S):
            record = await self._desk.store.load(claim.call_id)
        return record if record is not None and record.status.live else None

    async def _release(self, claim: Claim) -> None:
        """What we said goes out before another relay may speak: its epoch would fence the rest."""
        async with asyncio.timeout(_FLUSH_S):
            await self._desk.writer.flush()
        await self._desk.leases.release(claim)

    # -- leases
    async def _renew_leases(self, leases: Leases) -> None:
        outage = Outage(log, "renewing leases")
        while True:
            began = self._now()
            kept = {claim: one for claim, one in self._held(leases) if one.handing_over is None}
            claims = list(kept)
            cursors = {claim.call_id: one.relay.uplink_cursor for claim, one in kept.items() if one.relay}
            try:
                async with asyncio.timeout(_HEARTBEAT_S):
                    lost = await leases.renew(claims, cursors) if claims else []
                await self._renewed(claims, lost, began)
                if claims:
                    outage.worked()
            except (OutsideError, TimeoutError) as error:
                outage.failed(calls=len(claims), error=str(error))
            await asyncio.sleep(max(began + _HEARTBEAT_S - self._now(), 0.01))

    async def _renewed(self, claims: Iterable[Claim], lost: Iterable[Claim], at: float) -> None:
        for claim in claims:
            if holding := self._holdings.get(claim):
                holding.renewed_at = at
        for claim in lost:
            holding = self._holdings.get(claim)
            if holding is not None and not await self._restored(holding):
                holding.stop(LEASE_LOST)

    async def _restored(self, holding: Holding) -> bool:
        """Whether it was Redis that lost the lease, with the call itself, and now has both again."""
        record, relay, claim = holding.record, holding.relay, holding.claim
        if record is None or relay is None or await self._desk.store.load(claim.call_id) is not None:
            return False
        if not await self._desk.store.restore(relay.amended(record), self._desk.leases.owner_text(claim)):
            return False
        log.warning("call restored from memory", extra=fields(call_id=claim.call_id, epoch=claim.epoch))
        await self._desk.inbox.put(Restored(claim.call_id))
        await self._desk.inbox.put(VoiceReady(claim.call_id, claim.epoch))
        return True

    def _held(self, leases: Leases) -> list[tuple[Claim, Holding]]:
        return [(claim, holding) for claim, holding in self._holdings.items() if leases.has(claim.call_id)]

    async def _remember(self, leases: Leases) -> None:
        outage = Outage(log, "reading records")
        while True:
            await asyncio.sleep(_REMEMBER_S)
            held = self._held(leases)
            if not held:
                continue  # nobody was asked, so nothing is known of Redis
            try:
                records = await self._desk.store.load_many([claim.call_id for claim, _ in held])
                outage.worked()
            except BridgeError as error:
                outage.failed(calls=len(held), error=error.message)
                continue
            for claim, holding in held:
                holding.record = records.get(claim.call_id, holding.record)

    async def _watch_calls(self) -> None:
        """The one timer of all calls: silence those that may be somebody else's, let each do what has become due."""
        while True:
            now, silenced = self._now(), 0
            for holding in list(self._holdings.values()):
                if holding.relay is not None:
                    unsure = holding.handing_over is None and holding.renewed_at < now - _SILENT_AFTER_S
                    silenced += unsure
                    holding.relay.mute(unsure)
                    holding.relay.tick(now)
            metrics.SILENCED.set(silenced)
            await asyncio.sleep(_WATCH_S)

    async def _beat(self) -> None:
        while True:
            try:
                await self._fleet.beat(capacity=self._capacity, active=self.active, draining=self._draining)
                self._beating.worked()
            except OutsideError as error:
                self._beating.failed(error=error.message)
            await asyncio.sleep(BEAT_S)

    async def _stamp(self) -> None:
        while True:
            await asyncio.sleep(_STAMP_S)
            for holding in self._holdings.values():
                if holding.relay is not None:
                    holding.relay.stamp()

    # -- draining
    async def drain(self) -> None:
        """Hand every call to another relay, at a quiet moment if one comes soon; keep them while there is none."""
        self._draining = True
        began = self._now()
        while self._holdings:
            room = await self._others_have_room()
            for holding in self._holdings.values():
                if holding.relay is not None:
                    holding.relay.says.hold(room)
            if room:
                impatient = self._now() - began >= _PATIENCE_S
                self.hand_over(only_quiet=not impatient)
            await asyncio.sleep(POLL_MS / 1000)

    def let_go(self) -> None:
        """Leave every call at once, whether another relay is there or not."""
        for holding in self._holdings.values():
            holding.stop(RELEASED)

    def hand_over(self, *, only_quiet: bool = False) -> None:
        for holding in self._holdings.values():
            relay = holding.relay
            if relay is not None and holding.handing_over is None and (relay.quiet or not only_quiet):
                holding.handing_over = asyncio.create_task(self._hand_over(holding, relay))

    async def _hand_over(self, holding: Holding, relay: Relay) -> None:
        """Make before break: the call goes on here until another relay's voice session is ready.

        Until then both may write: from its first entry on the other's epoch silences ours.
        """
        claim = holding.claim
        try:
            await self._desk.leases.release(claim, relay.uplink_cursor)
            if not await self._is_taken(relay, self._now() + _OVERLAP_S):
                began = self._now()
                if not await self._desk.leases.renew([claim]):
                    log.warning("nobody takes the call", extra=fields(call_id=claim.call_id))
                    holding.renewed_at, holding.handing_over = began, None
                    return
        except (BridgeError, TimeoutError) as error:
            log.warning("hand-over failed", extra=fields(call_id=claim.call_id, error=str(error)))
            holding.handing_over = None
            return
        relay.stop(RELEASED)

    async def _is_taken(self, relay: Relay, deadline: float) -> bool:
        while self._now() < deadline:
            record = await self._desk.store.load(relay.claim.call_id)
            if record is None or record.voice_session_id not in ("", relay.voice_session_id):
                return True
            await asyncio.sleep(_OVERLAP_POLL_S)
        return False

    async def _others_have_room(self) -> bool:
        try:
            members = await self._fleet.live()
        except OutsideError:
            return False
        room = sum(
            max(member.capacity - member.active, 0)
            for name, member in members.items()
            if member.kind == KIND and name != self._name and not member.draining
        )
        return room >= len(self._holdings)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
