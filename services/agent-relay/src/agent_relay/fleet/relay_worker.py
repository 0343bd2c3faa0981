"""A relay's work: it claims calls up to its capacity and drives each in a task of its own. Keeping their leases
(`lease_keeper`) waits for none of that; when the process drains the calls go to other relays (`hand_over`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Iterable, Sequence
from typing import Final

from redis.asyncio import Redis

from agent_relay.call.relay import FAILED, RELEASED, open_relay
from agent_relay.call_context import CallContext
from agent_relay.fleet.hand_over import HandOver
from agent_relay.fleet.lease_keeper import LeaseKeeper
from agent_relay.fleet.owned_call import Holdings, OwnedCall
from bridge_common.base.errors import BridgeError, OutsideError, error_text
from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger, Refusals
from bridge_common.base.waiting import time_limit
from bridge_common.observability import telemetry
from bridge_common.store.fleet import BEAT_S, Member
from bridge_common.store.leases import LOOK_MS, POLL_MS, Claim, Leases
from bridge_common.wire.call_record import CallRecord

log = logging.getLogger(__name__)

KIND: Final = "agent-relay"
_WATCH_S: Final = 0.05
_LOAD_S: Final = 2.0
_FLUSH_S: Final = 1.0
_STAMP_S: Final = 1.0
_LOOK_AROUND_S: Final = 1.0
_YIELD_S: Final = 0.04
"""A relay that is full lets an empty one claim for so long before it does, a half-full one for half of it."""
_SHARE: Final = 4
"""At once at most this part of the room is filled, so that the calls of a dead relay spread."""


class RelayWorker:
    """`run` works until cancelled. `drain` first admits nothing new, then returns when no call is left here."""

    def __init__(self, desk: CallContext, blocking: Redis, *, capacity: int) -> None:
        self._desk = desk
        self._blocking = blocking
        self._capacity = capacity
        self._holdings: Holdings = {}
        self._keeper = LeaseKeeper(desk, self._holdings)
        self._hand_over = HandOver(desk, self._holdings)
        self._has_calls = asyncio.Event()
        self._draining = False
        self._emptiest = 0.0
        """The part of its calls that the emptiest of the others has; infinite: none can take any."""
        self._asked_for = 0
        """Calls that may come of claims that are under way."""
        self._one_beat = asyncio.Lock()
        """So that no older heartbeat overtakes the one that says that we drain."""
        self.refusals = Refusals()
        """Of claiming the calls of each shard."""

    @property
    def active(self) -> int:
        return len(self._holdings)

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for alone in (self._watch_calls(), self._beat(), self._stamp(), self._look_around()):
                    tasks.create_task(alone)
                # A server that is away costs no call of another.
                for part in self._desk.leases.parts():
                    for loop in (self._claim_calls(part), self._keeper.renew(part), self._keeper.remember(part)):
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
        outage = OutageLogger(log, "claiming calls")
        cursors: dict[str, str] = {}
        while True:
            try:
                if not self._draining:
                    await self._claim_some(leases)
                # Who is full may have room again at any time, and nobody tells.
                timeout_ms = LOOK_MS if self._room > 0 else POLL_MS
                self._tell_of_says(await leases.wait_wake(self._blocking, cursors, timeout_ms))
                outage.worked()
                self.refusals.worked(leases)
            except OutsideError as error:
                outage.failed(error=error.message)
                self.refusals.failed(leases, error)
                await asyncio.sleep(POLL_MS / 1000)

    def _tell_of_says(self, call_ids: Sequence[str]) -> None:
        for claim, holding in self._holdings.items():
            if holding.relay is not None and claim.call_id in call_ids:
                holding.relay.announcements.listen()

    async def _claim_some(self, leases: Leases) -> None:
        """The least loaded comes first, and nobody waits for who is not there."""
        claimed = limit = 0
        while claimed == limit and self._room > 0:
            await asyncio.sleep(_YIELD_S * max(0.0, len(self._holdings) / self._capacity - self._emptiest))
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
            holding = self._holdings[claim] = OwnedCall(claim, began)
            self._has_calls.set()
            holding.task = asyncio.create_task(self._drive(holding))
            telemetry.ACTIVE_CALLS.set(len(self._holdings))
        return len(claims)

    async def _drive(self, holding: OwnedCall) -> None:
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
                await self._release(claim, holding.relay.uplink_cursor)
        except (BridgeError, TimeoutError) as error:
            log.warning("call cannot be driven", extra=fields(call_id=claim.call_id, error=error_text(error)))
        except Exception:
            log.exception("call cannot be driven", extra=fields(call_id=claim.call_id))
        finally:
            if holding.handing_over is not None:
                holding.handing_over.cancel()
            del self._holdings[claim]
            telemetry.ACTIVE_CALLS.set(len(self._holdings))

    async def _load(self, claim: Claim) -> CallRecord | None:
        """The record, or None for a call that needs no relay any more."""
        async with time_limit(_LOAD_S, "the call's record"):
            record = await self._desk.store.load(claim.call_id)
        return record if record is not None and record.status.live else None

    async def _release(self, claim: Claim, uplink_cursor: str) -> None:
        """What we said goes out before another relay may speak: its epoch would fence the rest."""
        async with time_limit(_FLUSH_S, "the last entries of the call to be written"):
            await self._desk.writer.flush()
        await self._desk.leases.release(claim, uplink_cursor)

    # -- what comes again and again
    async def _watch_calls(self) -> None:
        """The one timer of all calls: silence those that may be somebody else's, let each do what has become due."""
        while True:
            now = self._now()
            self._keeper.silence_unsure(now)
            for holding in list(self._holdings.values()):
                if holding.relay is not None:
                    holding.relay.tick(now)
            if self._holdings:
                await asyncio.sleep(_WATCH_S)
            else:
                self._has_calls.clear()
                await self._has_calls.wait()

    async def _beat(self) -> None:
        while True:
            await self._beat_once()
            await asyncio.sleep(BEAT_S)

    async def _beat_once(self) -> None:
        async with self._one_beat:
            with contextlib.suppress(OutsideError):
                await self._desk.fleet.beat(capacity=self._capacity, active=self.active, draining=self._draining)

    async def _look_around(self) -> None:
        """Who has no calls waits for nobody in any case."""
        while True:
            await asyncio.sleep(_LOOK_AROUND_S)
            if self._holdings:
                with contextlib.suppress(OutsideError):
                    self._emptiest = emptiest(await self._desk.fleet.peers())

    async def _stamp(self) -> None:
        while True:
            await asyncio.sleep(_STAMP_S)
            for holding in self._holdings.values():
                if holding.relay is not None:
                    holding.relay.stamp()

    # -- draining
    async def drain(self, within_s: float = math.inf) -> None:
        """Hand every call to another relay, at a quiet moment if one comes soon; keep them while there is none.

        `within_s`: how long it may take, for the pace; nothing is broken off.
        """
        self._draining = True
        # First all know it: who takes a call over leaves it to us to speak while we drain.
        await self._beat_once()
        await self._hand_over.run(within_s)

    def let_go(self) -> None:
        """Leave every call at once, whether another relay is there or not."""
        for holding in self._holdings.values():
            holding.stop(RELEASED)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def emptiest(peers: Iterable[Member]) -> float:
    """The part of its calls that the emptiest of these has, of those that can take one; infinite when none can."""
    takers = (peer for peer in peers if not peer.draining and peer.active < peer.capacity)
    return min((peer.active / peer.capacity for peer in takers), default=math.inf)
