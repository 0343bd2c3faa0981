"""Renews the leases of a relay's calls, and mutes calls that another relay may own already."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from agent_relay import metrics
from agent_relay.call.relay import LEASE_LOST, Relay
from agent_relay.call_context import CallContext
from bridge_common.base.errors import BridgeError, OutsideError, error_text
from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.base.waiting import time_limit
from bridge_common.store.leases import HEARTBEAT_MS, LEASE_MS, Claim, Leases
from bridge_common.wire.call_record import CallRecord
from bridge_common.wire.entries import Restored, VoiceReady

log = logging.getLogger(__name__)

_HEARTBEAT_S: Final = HEARTBEAT_MS / 1000
_MUTE_AFTER_S: Final = 0.8 * LEASE_MS / 1000
"""If the lease of a call is not renewed for this time, the call is muted, because another relay may claim it soon."""
_REMEMBER_S: Final = 1.0
"""Interval between two reads of a call's record."""
_READ_AT_ONCE: Final = 8
"""Maximum number of records in one read. Each takes 0.1 ms, during which no frame of any call is forwarded."""


@dataclass(slots=True)
class OwnedCall:
    claim: Claim
    renewed_at: float
    """Time on the loop's clock when the latest successful renewal was sent."""
    task: asyncio.Task[None] | None = None
    relay: Relay | None = None
    record: CallRecord | None = None
    """A recent copy of the call's record, in case Redis loses it."""
    handing_over: asyncio.Task[None] | None = None

    def stop(self, why: str) -> None:
        if self.relay is not None:
            self.relay.stop(why)
        elif self.task is not None:
            self.task.cancel()


OwnedCalls: TypeAlias = dict[Claim, OwnedCall]


class LeaseKeeper:
    """Keeps the leases and the records of a relay's calls. `renew` and `remember` run until canceled, once for each
    partition of the leases, so that an unreachable Redis server affects only its own calls.
    """

    def __init__(self, context: CallContext, owned_calls: OwnedCalls) -> None:
        self._context = context
        self._owned_calls = owned_calls

    async def renew(self, leases: Leases) -> None:
        """Renew the leases at every heartbeat; stop the calls whose lease is lost."""
        outage = OutageLogger(log, begun="failed to renew leases; retrying", over="lease renewal recovered")
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            kept = {claim: owned for claim, owned in self._owned_in(leases) if owned.handing_over is None}
            claims = list(kept)
            cursors = {claim.call_id: owned.relay.uplink_cursor for claim, owned in kept.items() if owned.relay}
            try:
                async with time_limit(_HEARTBEAT_S, "Redis to renew the leases"):
                    lost = await leases.renew(claims, cursors) if claims else []
                await self._renewed(claims, lost, began)
                if claims:
                    outage.worked()
            except (OutsideError, TimeoutError) as error:
                outage.failed(calls=len(claims), error=error_text(error))
            await asyncio.sleep(max(began + _HEARTBEAT_S - clock(), 0.01))

    async def remember(self, leases: Leases) -> None:
        """Read the records repeatedly, to restore them if Redis restarts empty."""
        outage = OutageLogger(log, begun="failed to read call records; retrying", over="call record read recovered")
        while True:
            calls = self._owned_in(leases)
            batches = [calls[start : start + _READ_AT_ONCE] for start in range(0, len(calls), _READ_AT_ONCE)]
            for batch in batches:
                await asyncio.sleep(_REMEMBER_S / len(batches))
                try:
                    await self._read(batch)
                    outage.worked()
                except BridgeError as error:
                    outage.failed(calls=len(calls), error=error.message)
            if not calls:
                await asyncio.sleep(_REMEMBER_S)  # without a read, the state of Redis is unknown

    async def _read(self, batch: Sequence[tuple[Claim, OwnedCall]]) -> None:
        records = await self._context.store.load_many([claim.call_id for claim, _ in batch])
        for claim, owned in batch:
            owned.record = records.get(claim.call_id, owned.record)

    def mute_unsure(self, now: float) -> None:
        """Mute calls whose lease was not renewed for too long, until it is renewed again.

        A call that is being handed over is not muted: this relay has no lease for it, but still speaks in it.
        """
        muted = 0
        for owned in self._owned_calls.values():
            if owned.relay is not None:
                unsure = owned.handing_over is None and owned.renewed_at < now - _MUTE_AFTER_S
                muted += unsure
                owned.relay.mute(unsure)
        metrics.set_muted_calls(muted)

    async def _renewed(self, claims: Iterable[Claim], lost: Iterable[Claim], at: float) -> None:
        for claim in claims:
            if owned := self._owned_calls.get(claim):
                owned.renewed_at = at
        for claim in lost:
            owned = self._owned_calls.get(claim)
            if owned is not None and not await self._restored(owned):
                owned.stop(LEASE_LOST)

    async def _restored(self, owned: OwnedCall) -> bool:
        """Restore the call and its lease if Redis has lost both. Return whether they were restored."""
        record, relay, claim = owned.record, owned.relay, owned.claim
        if record is None or relay is None or await self._context.store.load(claim.call_id) is not None:
            return False
        if not await self._context.store.restore(relay.amended(record), self._context.leases.owner_text(claim)):
            return False
        log.warning("call restored from memory", extra=fields(call_id=claim.call_id, epoch=claim.epoch))
        await self._context.inbox.put(Restored(claim.call_id))
        await self._context.inbox.put(VoiceReady(claim.call_id, claim.epoch))
        return True

    def _owned_in(self, leases: Leases) -> list[tuple[Claim, OwnedCall]]:
        return [(claim, owned) for claim, owned in self._owned_calls.items() if leases.has(claim.call_id)]
