"""Hands the calls of a draining relay over to other relays: make-before-break, no faster than the Voice Live quota
allows.

Each call needs a second voice session while the first one is still in use. A call is handed over only if the quota has
a connection for it; until then this relay continues it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent_relay.call.relay import RELEASED, Relay
from agent_relay.call_context import CallContext
from agent_relay.fleet.lease_keeper import OwnedCall, OwnedCalls
from agent_relay.voice.connection_quota import Urgency
from bridge_common.base.errors import BridgeError, OutsideError, error_text
from bridge_common.base.log import fields
from bridge_common.store.fleet import Member
from bridge_common.store.leases import POLL_MS

log = logging.getLogger(__name__)

PATIENCE_S: Final = 5.0
"""Longest time to wait for a quiet moment of a call; then it is handed over in the middle of a turn."""
MOST_AT_ONCE: Final = 10
"""Maximum number of simultaneous hand-overs. Each costs the next owner a handshake, which delays the frames of its
other calls.
"""
_OVERLAP_POLL_S: Final = 0.03


@dataclass(frozen=True, slots=True)
class HandOverLimits:
    patience_s: float = PATIENCE_S
    overlap_s: float = 8.0
    """Seconds. If the next owner has no voice session after this time, the relay checks whether the call has a next
    owner.
    """
    at_once: int = MOST_AT_ONCE


class HandOver:
    def __init__(self, context: CallContext, owned_calls: OwnedCalls, limits: HandOverLimits) -> None:
        self._context = context
        self._owned_calls = owned_calls
        self._limits = limits
        self._logged_waiting = False
        self._peers: Sequence[Member] = ()

    async def run(self, within_s: float) -> None:
        """Hand over every call, and return when none is left. Calls are kept while no other relay has capacity.

        In the first half of `within_s`, new calls of the fleet have a higher priority for connections.
        """
        began = _now()
        while self._owned_calls:
            has_room = await self.others_have_room()
            for owned in self._owned_calls.values():
                if owned.relay is not None:
                    owned.relay.hold_announcements(has_room)
            if has_room:
                waited_s = _now() - began
                urgency = Urgency.BACKGROUND if waited_s < within_s / 2 else Urgency.RUNNING
                await self._begin(urgency, only_quiet=waited_s < self._limits.patience_s)
            await asyncio.sleep(POLL_MS / 1000)

    async def others_have_room(self) -> bool:
        """Return whether the other relays have capacity for all calls of this one."""
        try:
            self._peers = await self._context.fleet.peers()
        except OutsideError:
            return False
        room = sum(max(peer.capacity - peer.active, 0) for peer in self._peers if not peer.draining)
        return room >= len(self._owned_calls)

    async def _begin(self, urgency: Urgency, *, only_quiet: bool) -> None:
        under_way = [owned for owned in self._owned_calls.values() if owned.handing_over is not None]
        due = self._due(only_quiet=only_quiet)
        places = self._limits.at_once - len(under_way)
        free = await self._free({relay.voice_resource for _, relay in due} if places > 0 else set(), urgency)
        # Their next owners may or may not have taken their connections already.
        free.subtract(owned.relay.voice_resource for owned in under_way if owned.relay is not None)
        for owned, relay in due:
            if self._owned_calls.get(owned.claim) is not owned:
                continue  # it has ended in the meantime
            if places > 0 and free[relay.voice_resource] > 0:
                places -= 1
                free[relay.voice_resource] -= 1
                owned.handing_over = asyncio.create_task(self._hand_over(owned, relay))
            elif places > 0 and not self._logged_waiting:
                self._logged_waiting = True
                log.info("hand-over waits for the connection quota", extra=fields(calls=len(due)))

    def _due(self, *, only_quiet: bool) -> list[tuple[OwnedCall, Relay]]:
        """Return the calls to hand over, quiet calls first. During a turn of the caller, both sessions have to receive
        the turn (`UplinkGate`).
        """
        due = [(owned, owned.relay) for owned in self._owned_calls.values() if owned.relay and not owned.handing_over]
        quiet = [(owned, relay) for owned, relay in due if relay.quiet]
        return quiet if only_quiet else quiet + [(owned, relay) for owned, relay in due if not relay.quiet]

    async def _free(self, resources: set[str], urgency: Urgency) -> Counter[str]:
        """Return the number of connections left for this relay on each resource."""
        try:
            return Counter({one: self._share(await self._context.quota.free(one, urgency)) for one in resources})
        except OutsideError:
            return Counter()

    def _share(self, free: int) -> int:
        """Return this relay's share of the connections: relays that drain at the same time divide them. Otherwise each
        would hand over as many calls as there are connections, and the next owners of most would get none.
        """
        own = self._context.fleet.name
        drain = sorted([own, *(peer.name for peer in self._peers if peer.draining and peer.active)])
        return free // len(drain) + (drain.index(own) < free % len(drain))

    async def _hand_over(self, owned: OwnedCall, relay: Relay) -> None:
        """Hand one call over. It continues in this relay until the voice session of the next owner is ready, without a
        time limit.

        The next owner writes nothing until then, because its epoch would fence this relay (`call.previous_owner`).
        """
        claim = owned.claim
        try:
            await self._context.leases.release(claim, relay.begin_hand_over(), keep_downlink=True)
            while not await self._is_taken(relay, _now() + self._limits.overlap_s):
                began = _now()
                if not await self._context.leases.renew([claim]):
                    log.warning("no relay claimed the call; keeping it", extra=fields(call_id=claim.call_id))
                    owned.renewed_at, owned.handing_over = began, None
                    return
                log.warning("next owner has no voice session yet", extra=fields(call_id=claim.call_id))
        except (BridgeError, TimeoutError) as error:
            log.warning("hand-over failed", extra=fields(call_id=claim.call_id, error=error_text(error)))
            owned.handing_over = None
            return
        relay.stop(RELEASED)

    async def _is_taken(self, relay: Relay, deadline: float) -> bool:
        while _now() < deadline:
            record = await self._context.store.load(relay.claim.call_id)
            if record is None or record.voice_session_id not in ("", relay.voice_session_id):
                return True
            await asyncio.sleep(_OVERLAP_POLL_S)
        return False


def _now() -> float:
    return asyncio.get_running_loop().time()
