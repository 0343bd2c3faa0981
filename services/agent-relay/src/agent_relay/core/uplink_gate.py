"""Holds the caller's audio and tones back at a relay that takes a call over while the previous owner still listens.

The new relay reads from before the point of the hand-over, so nothing is lost if the previous owner dies. What the
previous owner has processed is dropped once it is known where it stopped:

- In a quiet call both sessions together hear every frame exactly once.
- A turn that the caller has not finished, or that is not answered yet, is heard by both: the old session forgets it,
  and a conversation that is resumed by its id does not contain it either. It begins 500 ms before the service noticed
  it (`UplinkCursor`).
- If nobody says where the previous owner stopped, it has died or is of an older version. Then everything since the
  hand-over began is heard, as after a crash: better twice than never.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

from agent_relay.core.uplink_cursor import KEPT_FRAMES, UplinkStop
from bridge_common.entries import AudioFrame, Dtmf

FromCaller: TypeAlias = AudioFrame | Dtmf


class UplinkGate:
    def __init__(self) -> None:
        self._held: deque[tuple[str, FromCaller]] = deque(maxlen=KEPT_FRAMES)

    def hold(self, entry_id: str, entry: FromCaller) -> None:
        self._held.append((entry_id, entry))

    def release(self, stop: UplinkStop | None) -> list[tuple[str, FromCaller]]:
        """The entries that the previous owner has not processed; all of them if nobody says where it stopped."""
        held = list(self._held)
        self._held.clear()
        if stop is None:
            return held
        audio, tones = _order(stop.audio), _order(stop.tones)
        return [(at, one) for at, one in held if _order(at) > (audio if type(one) is AudioFrame else tones)]


def _order(entry_id: str) -> tuple[int, int]:
    epoch, _, seq = entry_id.partition("-")
    return int(epoch), int(seq or 0)
