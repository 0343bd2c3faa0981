"""The relay that handed a call over: it speaks on in the call until its successor does, for as long as it drains."""

from __future__ import annotations

import asyncio

from bridge_common.errors import OutsideError
from bridge_common.fleet import BEAT_S, Fleet


class Predecessor:
    """`speaker`: who handed the call over last (`Claim.speaker`). It speaks no more if another one has had a voice
    session after it; `voice_epoch` is that of the newest one.
    """

    def __init__(self, fleet: Fleet, speaker: str, voice_epoch: int) -> None:
        self._fleet = fleet
        self._name, _, epoch = speaker.rpartition("|")
        self.speaks = epoch == str(voice_epoch)
        """Whether it may still speak. Until it was looked for, it may."""

    async def watch(self) -> None:
        """Return as soon as it is known not to speak any more: it never drained, has left, or has died.

        While Redis is away nobody is heard, and it keeps for itself what it knows.
        """
        while self.speaks:
            try:
                member = (await self._fleet.live()).get(self._name)
                self.speaks = member is not None and member.draining
            except OutsideError:
                pass
            if self.speaks:
                await asyncio.sleep(BEAT_S)
