"""The previous owner of a call: it continues to speak until its successor does, for as long as it drains, and stores
how far it has processed the caller's audio.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from agent_relay.core.uplink_cursor import UplinkStop
from bridge_common.base.errors import OutsideError
from bridge_common.store.fleet import BEAT_S, Fleet
from bridge_common.store.leases import Claim, Leases

_STOP_POLL_S: Final = 0.02
STOP_WITHIN_S: Final = 0.5
"""The previous owner notices the new voice session within 30 ms. If it stores no stop within this time, it is frozen or
runs a version that does not."""


class PreviousOwner:
    """`speaker`: who handed the call over last (`Claim.speaker`). It speaks no more if another one has had a voice
    session after it; `voice_epoch` is that of the newest one.
    """

    def __init__(self, fleet: Fleet, speaker: str, voice_epoch: int) -> None:
        self._fleet = fleet
        self._name, _, epoch = speaker.rpartition("|")
        self.speaks = epoch == str(voice_epoch)
        """Whether it may still speak. Until it was looked for, it may."""

    async def watch(self) -> None:
        """Return once the previous owner is known to have stopped speaking: it never drained, has left, or has died.

        While Redis is unreachable the last known state counts: no relay is heard then.
        """
        while self.speaks:
            try:
                member = (await self._fleet.live()).get(self._name)
                self.speaks = member is not None and member.draining
            except OutsideError:
                pass
            if self.speaks:
                await asyncio.sleep(BEAT_S)

    async def stop(self, leases: Leases, claim: Claim, is_ready: Callable[[], bool]) -> UplinkStop | None:
        """Where it stopped, which it does once our voice session is ready (`is_ready`). None if it is gone, or stores
        no stop within `STOP_WITHIN_S`.
        """
        now = asyncio.get_running_loop().time
        ready_at: float | None = None
        while self.speaks and (ready_at is None or now() < ready_at + STOP_WITHIN_S):
            if ready_at is None and is_ready():
                ready_at = now()
            if ready_at is not None and (stop := await self._noted(leases, claim)) is not None:
                return stop
            await asyncio.sleep(_STOP_POLL_S)
        # Storing the stop may have been its last action.
        return await self._noted(leases, claim)

    async def _noted(self, leases: Leases, claim: Claim) -> UplinkStop | None:
        try:
            found = await leases.stopped_at(claim)
        except OutsideError:
            return None
        return UplinkStop(*found) if found is not None else None
