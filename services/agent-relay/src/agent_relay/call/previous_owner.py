"""The previous owner of a call. While it drains, it speaks until the next owner can speak. Then it stores how far it
has processed the caller's audio.
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


class PreviousOwner:
    """Watches whether the previous owner of a call still speaks.

    `speaker`: the relay that handed the call over last (`Claim.previous_owner`). `voice_epoch`: epoch of the newest
    voice session; if it belongs to another relay, the speaker no longer speaks.

    The previous owner notices the new voice session within 30 ms. If it stores no position within `stop_within_s`, it
    is frozen or runs a version that does not store one.
    """

    def __init__(self, fleet: Fleet, speaker: str, voice_epoch: int, *, stop_within_s: float) -> None:
        self._fleet = fleet
        self._stop_within_s = stop_within_s
        self._name, _, epoch = speaker.rpartition("|")
        self.speaks = epoch == str(voice_epoch)
        """Whether the previous owner may still speak, according to the last known state."""

    async def watch(self) -> None:
        """Wait until the previous owner has stopped speaking: it is not draining, has exited, or is dead.

        While Redis is unreachable, the last known state applies; no relay can be heard then.
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
        """Return the position where the previous owner stopped; None if it is gone or stores none in time. It stores
        the position once this relay's voice session is ready (`is_ready`).
        """
        now = asyncio.get_running_loop().time
        ready_at: float | None = None
        while self.speaks and (ready_at is None or now() < ready_at + self._stop_within_s):
            if ready_at is None and is_ready():
                ready_at = now()
            if ready_at is not None and (stop := await self._stored_stop(leases, claim)) is not None:
                return stop
            await asyncio.sleep(_STOP_POLL_S)
        # It may have stored the position just before it exited.
        return await self._stored_stop(leases, claim)

    async def _stored_stop(self, leases: Leases, claim: Claim) -> UplinkStop | None:
        try:
            found = await leases.stopped_at(claim)
        except OutsideError:
            return None
        return UplinkStop(*found) if found is not None else None
