"""Keeps the leases of the calls that a relay has claimed, and silences those that may be somebody else's by now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Final

from agent_relay import metrics
from agent_relay.call.relay import LEASE_LOST
from agent_relay.call_context import CallContext
from agent_relay.fleet.owned_call import Holdings, OwnedCall
from bridge_common.base.errors import BridgeError, OutsideError, error_text
from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.base.waiting import time_limit
from bridge_common.store.leases import HEARTBEAT_MS, LEASE_MS, Claim, Leases
from bridge_common.wire.entries import Restored, VoiceReady

log = logging.getLogger(__name__)

_HEARTBEAT_S: Final = HEARTBEAT_MS / 1000
_SILENT_AFTER_S: Final = 0.8 * LEASE_MS / 1000
"""Without a renewal for so long the call may soon be somebody else's."""
_REMEMBER_S: Final = 1.0
"""How old the memory of a call's record may be."""
_READ_AT_ONCE: Final = 8
"""Records: a tenth of a millisecond each, in which no frame of any call is passed on."""


class LeaseKeeper:
    """`renew` and `remember` run until cancelled, once for each part of the leases: a server that is away costs no
    call of another.
    """

    def __init__(self, desk: CallContext, holdings: Holdings) -> None:
        self._desk = desk
        self._holdings = holdings

    async def renew(self, leases: Leases) -> None:
        """Extend the leases at every heartbeat; stop the calls whose lease is lost."""
        outage = OutageLogger(log, "renewing leases")
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            kept = {claim: one for claim, one in self._held(leases) if one.handing_over is None}
            claims = list(kept)
            cursors = {claim.call_id: one.relay.uplink_cursor for claim, one in kept.items() if one.relay}
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
        """Read the records again and again, so that a Redis that comes back empty can be given them."""
        outage = OutageLogger(log, "reading records")
        while True:
            held = self._held(leases)
            some = [held[start : start + _READ_AT_ONCE] for start in range(0, len(held), _READ_AT_ONCE)]
            for few in some:
                await asyncio.sleep(_REMEMBER_S / len(some))
                try:
                    await self._read(few)
                    outage.worked()
                except BridgeError as error:
                    outage.failed(calls=len(held), error=error.message)
            if not held:
                await asyncio.sleep(_REMEMBER_S)  # nobody was asked, so nothing is known of Redis

    async def _read(self, some: Sequence[tuple[Claim, OwnedCall]]) -> None:
        records = await self._desk.store.load_many([claim.call_id for claim, _ in some])
        for claim, holding in some:
            holding.record = records.get(claim.call_id, holding.record)

    def silence_unsure(self, now: float) -> None:
        """Nothing is said in a call whose lease was not renewed for too long, until it is renewed again.

        A call that is being handed over has no lease of ours any more and is still ours to speak in.
        """
        silenced = 0
        for holding in self._holdings.values():
            if holding.relay is not None:
                unsure = holding.handing_over is None and holding.renewed_at < now - _SILENT_AFTER_S
                silenced += unsure
                holding.relay.mute(unsure)
        metrics.SILENCED.set(silenced)

    async def _renewed(self, claims: Iterable[Claim], lost: Iterable[Claim], at: float) -> None:
        for claim in claims:
            if holding := self._holdings.get(claim):
                holding.renewed_at = at
        for claim in lost:
            holding = self._holdings.get(claim)
            if holding is not None and not await self._restored(holding):
                holding.stop(LEASE_LOST)

    async def _restored(self, holding: OwnedCall) -> bool:
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

    def _held(self, leases: Leases) -> list[tuple[Claim, OwnedCall]]:
        return [(claim, holding) for claim, holding in self._holdings.items() if leases.has(claim.call_id)]
