"""The worker of a relay process: claims calls up to its capacity and drives each in its own task."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Iterable, Sequence
from typing import Final

from redis.asyncio import Redis

from agent_relay.call.relay import RELEASED, open_relay
from agent_relay.call_context import CallContext
from agent_relay.fleet.hand_over import HandOver, HandOverLimits
from agent_relay.fleet.lease_keeper import LeaseKeeper, OwnedCall, OwnedCalls
from bridge_common.base.errors import BridgeError, OutsideError, error_text
from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.base.refusals import Refusals
from bridge_common.base.retry import Backoff, repeat
from bridge_common.base.waiting import time_limit
from bridge_common.observability import telemetry
from bridge_common.store.fleet import BEAT_S, Member
from bridge_common.store.leases import LOOK_MS, POLL_MS, Claim, Leases
from bridge_common.wire.call_record import CallRecord

log = logging.getLogger(__name__)

KIND: Final = "agent-relay"
_TICK_S: Final = 0.05
_LOAD_S: Final = 2.0
_FLUSH_S: Final = 1.0
_PROBE_S: Final = 1.0
_PEERS_S: Final = 1.0
_YIELD_S: Final = 0.04
"""Head start that a full relay gives an empty one before it claims; a half-full one gives half of it."""
_SHARE: Final = 4
"""One claim takes at most this fraction (1/4) of the free capacity, so that the calls of a dead relay spread."""


class RelayWorker:
    """Claims calls and drives them. `run` works until it is canceled. `drain` claims no further call, and returns when
    none is left.
    """

    def __init__(
        self, context: CallContext, blocking: Redis, *, capacity: int, hand_over: HandOverLimits | None = None
    ) -> None:
        self.capacity = capacity
        self.owned_calls: OwnedCalls = {}
        self.lowest_load = 0.0
        """Load (active calls / capacity) of the least loaded other relay; infinite if none can accept a call."""
        self._context = context
        self._blocking = blocking
        self._keeper = LeaseKeeper(context, self.owned_calls)
        self._hand_over = HandOver(context, self.owned_calls, hand_over or HandOverLimits())
        self._has_calls = asyncio.Event()
        self._draining = False
        self._claiming = 0
        """Maximum number of calls that the claims in progress can add."""
        self._one_beat = asyncio.Lock()
        """Prevents an older heartbeat from overtaking the one that reports the drain."""
        self.refusals = Refusals()
        """Shards on which Redis rejects claims."""

    @property
    def active(self) -> int:
        return len(self.owned_calls)

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for loop in (self._tick_calls(), self._beat(), self._probe_latency(), self._watch_peers()):
                    tasks.create_task(loop)
                # Separately for each partition: an unreachable Redis server must not affect calls of another.
                for part in self._context.leases.parts():
                    for loop in (self._claim_calls(part), self._keeper.renew(part), self._keeper.remember(part)):
                        tasks.create_task(loop)
        finally:
            await self._stop_all()

    async def _stop_all(self) -> None:
        """Cancel all calls without releasing their leases; other relays claim the calls when the leases expire."""
        tasks = [owned.task for owned in self.owned_calls.values() if owned.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- claiming
    async def _claim_calls(self, leases: Leases) -> None:
        cursors: dict[str, str] = {}

        async def step() -> float:
            try:
                if not self._draining:
                    await self._claim_some(leases)
                # There is no notification when a full relay has capacity again.
                timeout_ms = LOOK_MS if self._room > 0 else POLL_MS
                self._notify_of_announcements(await leases.wait_wake(self._blocking, cursors, timeout_ms))
            except OutsideError as error:
                self.refusals.failed(leases, error)
                raise
            self.refusals.worked(leases)
            return 0.0

        await repeat(
            step,
            Backoff.constant(POLL_MS / 1000),
            OutageLogger(log, begun="failed to claim calls; retrying", over="claiming of calls recovered"),
        )

    def _notify_of_announcements(self, call_ids: Sequence[str]) -> None:
        for claim, owned in self.owned_calls.items():
            if owned.relay is not None and claim.call_id in call_ids:
                owned.relay.announcements.listen()

    async def _claim_some(self, leases: Leases) -> None:
        """Claim until there are no more calls. Less loaded relays get a head start."""
        claimed = limit = 0
        while claimed == limit and self._room > 0:
            head_s = head_start_s(self.active / self.capacity, self.lowest_load)
            await asyncio.sleep(head_s)
            if self._draining or self._room <= 0:
                return
            limit = math.ceil(self._room / _SHARE)
            self._claiming += limit
            try:
                # Calls that arrived during the pause remain for the others, too.
                claimed = await self._claim(leases, limit, head_s)
            finally:
                self._claiming -= limit

    @property
    def _room(self) -> int:
        return self.capacity - self.active - self._claiming

    async def _claim(self, leases: Leases, limit: int, overdue_s: float) -> int:
        began = self._now()
        claims = await leases.claim(limit, overdue_s=overdue_s)
        for claim in claims:
            owned = self.owned_calls[claim] = OwnedCall(claim, began)
            self._has_calls.set()
            owned.task = asyncio.create_task(self._drive(owned))
            telemetry.ACTIVE_CALLS.set(self.active)
        return len(claims)

    async def _drive(self, owned: OwnedCall) -> None:
        """Drive a claimed call until it ends or this relay stops handling it."""
        claim = owned.claim
        try:
            record = await self._load(claim)
            if record is None:
                await self._context.leases.end(claim.call_id)
                return
            owned.record = record
            log.info("call claimed", extra=fields(call_id=claim.call_id, epoch=claim.epoch))
            owned.relay = await open_relay(self._context, claim, record)
            why = await owned.relay.run()
            log.info("relay stopped handling call", extra=fields(call_id=claim.call_id, why=why))
            if why == RELEASED:
                await release(self._context, claim, owned.relay.uplink_cursor)
        except (BridgeError, TimeoutError) as error:
            log.warning("call driver failed", extra=fields(call_id=claim.call_id, error=error_text(error)))
        except Exception:
            log.exception("call driver failed", extra=fields(call_id=claim.call_id))
        finally:
            if owned.handing_over is not None:
                owned.handing_over.cancel()
            del self.owned_calls[claim]
            telemetry.ACTIVE_CALLS.set(self.active)

    async def _load(self, claim: Claim) -> CallRecord | None:
        """Return the call's record, None if the call needs no relay any more."""
        async with time_limit(_LOAD_S, "the call's record"):
            record = await self._context.store.load(claim.call_id)
        return record if record is not None and record.status.live else None

    # -- periodic tasks
    async def _tick_calls(self) -> None:
        """Call `tick` of all calls periodically."""
        while True:
            now = self._now()
            self._keeper.mute_unsure(now)
            for owned in list(self.owned_calls.values()):
                if owned.relay is not None:
                    owned.relay.tick(now)
            if self.owned_calls:
                await asyncio.sleep(_TICK_S)
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
                await self._context.fleet.beat(capacity=self.capacity, active=self.active, draining=self._draining)

    async def _watch_peers(self) -> None:
        """Keep `lowest_load` up to date. An empty relay never waits for others, so it does not need their load."""
        while True:
            await asyncio.sleep(_PEERS_S)
            if self.owned_calls:
                with contextlib.suppress(OutsideError):
                    self.lowest_load = lowest_load(await self._context.fleet.peers())

    async def _probe_latency(self) -> None:
        while True:
            await asyncio.sleep(_PROBE_S)
            for owned in self.owned_calls.values():
                if owned.relay is not None:
                    owned.relay.stamp()

    # -- draining
    async def drain(self, within_s: float = math.inf) -> None:
        """Hand over every call, at a quiet moment if possible; keep them while no other relay has capacity.

        `within_s`: expected duration, which sets the pace; it is not a limit.
        """
        self._draining = True
        # All peers must know before the first hand-over: the next owner then waits for this relay to finish.
        await self._beat_once()
        await self._hand_over.run(within_s)

    def release_all(self) -> None:
        """Release every call now, even if there is no other relay."""
        for owned in self.owned_calls.values():
            owned.stop(RELEASED)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def release(context: CallContext, claim: Claim, uplink_cursor: str) -> None:
    """Write the remaining entries, then release the lease. After the release, the epoch of the next owner would fence
    these entries.
    """
    async with time_limit(_FLUSH_S, "the last entries of the call to be written"):
        await context.writer.flush()
    await context.leases.release(claim, uplink_cursor)


def head_start_s(load: float, peers_load: float) -> float:
    """Return the delay before a claim, so that less loaded relays claim first."""
    return _YIELD_S * max(0.0, load - peers_load)


def lowest_load(peers: Iterable[Member]) -> float:
    """Return the lowest load of the relays that can accept a call; infinite if there is none."""
    takers = (peer for peer in peers if not peer.draining and peer.active < peer.capacity)
    return min((peer.active / peer.capacity for peer in takers), default=math.inf)
