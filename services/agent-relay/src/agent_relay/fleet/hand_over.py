"""Handing the calls of a draining relay to the others: make before break, and no faster than they can be taken.

Each call needs a voice session elsewhere while the one here lives. So a call is handed over only when Voice Live takes
another connection: those that wait for one are spoken to from here, and nobody notices.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Final

from agent_relay.call.relay import RELEASED, Relay
from agent_relay.call_context import CallContext
from agent_relay.fleet.owned_call import Holdings, OwnedCall
from agent_relay.voice.connection_quota import Urgency
from bridge_common.base.errors import BridgeError, OutsideError, error_text
from bridge_common.base.log import fields
from bridge_common.store.leases import POLL_MS

log = logging.getLogger(__name__)

PATIENCE_S: Final = 5.0
"""How long a draining relay waits for a call to fall quiet before it hands it over in the middle of a turn."""
MOST_AT_ONCE: Final = 10
"""Every call that is taken costs the other relays a handshake, between the frames of those they have."""
_OVERLAP_S: Final = 8.0
"""After so long without another relay's voice session it is asked whether anybody has the call at all."""
_OVERLAP_POLL_S: Final = 0.03


class HandOver:
    """`run` returns when no call is left here."""

    def __init__(self, desk: CallContext, holdings: Holdings) -> None:
        self._desk = desk
        self._holdings = holdings
        self._told = False
        """It was said that calls wait."""

    async def run(self, within_s: float) -> None:
        """Hand every call over, at a quiet moment if one comes soon; keep them while nobody has room.

        For half of `within_s` new calls come before ours where connections are scarce.
        """
        began = _now()
        while self._holdings:
            room = await self.others_have_room()
            for holding in self._holdings.values():
                if holding.relay is not None:
                    holding.relay.hold_announcements(room)
            if room:
                waited_s = _now() - began
                urgency = Urgency.SPARE if waited_s < within_s / 2 else Urgency.RUNNING
                await self._begin(urgency, only_quiet=waited_s < PATIENCE_S)
            await asyncio.sleep(POLL_MS / 1000)

    async def others_have_room(self) -> bool:
        """Whether the fleet has a place for every call that is here."""
        try:
            peers = await self._desk.fleet.peers()
        except OutsideError:
            return False
        room = sum(max(peer.capacity - peer.active, 0) for peer in peers if not peer.draining)
        return room >= len(self._holdings)

    async def _begin(self, urgency: Urgency, *, only_quiet: bool) -> None:
        under_way = [holding for holding in self._holdings.values() if holding.handing_over is not None]
        due = self._due(only_quiet=only_quiet)
        places = MOST_AT_ONCE - len(under_way)
        wanted = {relay.voice_resource for _, relay in due} if places > 0 else set()
        free = await self._connections(wanted, urgency)
        # Whether these have taken theirs already nobody knows.
        free.subtract(holding.relay.voice_resource for holding in under_way if holding.relay is not None)
        for holding, relay in due:
            if self._holdings.get(holding.claim) is not holding:
                continue  # it has ended while the connections were counted
            if places > 0 and free[relay.voice_resource] > 0:
                places -= 1
                free[relay.voice_resource] -= 1
                holding.handing_over = asyncio.create_task(self._give(holding, relay))
            elif places > 0 and not self._told:
                self._told = True
                log.info("calls wait for a connection to be handed over", extra=fields(calls=len(due)))

    def _due(self, *, only_quiet: bool) -> list[tuple[OwnedCall, Relay]]:
        """Quiet calls first: during a caller's turn both sessions have to hear the turn (`uplink_gate`)."""
        due = [(one, one.relay) for one in self._holdings.values() if one.relay and one.handing_over is None]
        quiet = [(holding, relay) for holding, relay in due if relay.quiet]
        return quiet if only_quiet else quiet + [(holding, relay) for holding, relay in due if not relay.quiet]

    async def _connections(self, resources: set[str], urgency: Urgency) -> Counter[str]:
        """How many more each of these takes now."""
        try:
            return Counter({one: await self._desk.voice.quota.free(one, urgency) for one in resources})
        except OutsideError:
            return Counter()

    async def _give(self, holding: OwnedCall, relay: Relay) -> None:
        """The call goes on here until another relay's voice session is ready, however long that takes.

        The other one writes nothing before (`predecessor`): from its first entry on its epoch silences ours.
        """
        claim = holding.claim
        try:
            await self._desk.leases.release(claim, relay.begin_hand_over(), keep_downlink=True)
            while not await self._is_taken(relay, _now() + _OVERLAP_S):
                began = _now()
                if not await self._desk.leases.renew([claim]):
                    log.warning("nobody takes the call", extra=fields(call_id=claim.call_id))
                    holding.renewed_at, holding.handing_over = began, None
                    return
                log.warning("the other relay has no voice session yet", extra=fields(call_id=claim.call_id))
        except (BridgeError, TimeoutError) as error:
            log.warning("hand-over failed", extra=fields(call_id=claim.call_id, error=error_text(error)))
            holding.handing_over = None
            return
        relay.stop(RELEASED)

    async def _is_taken(self, relay: Relay, deadline: float) -> bool:
        while _now() < deadline:
            record = await self._desk.store.load(relay.claim.call_id)
            if record is None or record.voice_session_id not in ("", relay.voice_session_id):
                return True
            await asyncio.sleep(_OVERLAP_POLL_S)
        return False


def _now() -> float:
    return asyncio.get_running_loop().time()
