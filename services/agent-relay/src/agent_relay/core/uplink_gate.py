"""Holds caller audio and tones back in a relay that takes over a call while the previous owner still processes them.

The new relay reads from before the point of the hand-over, so nothing is lost if the previous owner dies. Entries that
the previous owner has processed are dropped once it is known where it stopped:

- In a quiet call both sessions together hear every frame exactly once.
- A turn that the caller has not finished, or that is not answered yet, is heard by both: the old session discards
  it, and a conversation that is resumed by its id does not contain it either. The turn is sent from 500 ms before the
  service noticed it (`UplinkCursor`).
- If the previous owner stored no stop, it has died or runs an older version. Then everything since the beginning of the
  hand-over is heard, as after a crash: audio heard twice is better than lost audio.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

from agent_relay.core.uplink_cursor import KEPT_FRAMES, UplinkStop, order_of
from bridge_common.wire.entries import AudioFrame, Dtmf

FromCaller: TypeAlias = AudioFrame | Dtmf


class UplinkGate:
    def __init__(self) -> None:
        self._held: deque[tuple[str, FromCaller]] = deque(maxlen=KEPT_FRAMES)

    def hold(self, entry_id: str, entry: FromCaller) -> None:
        self._held.append((entry_id, entry))

    def release(self, stop: UplinkStop | None) -> list[tuple[str, FromCaller]]:
        """The entries that the previous owner has not processed; all of them if `stop` is None."""
        held = list(self._held)
        self._held.clear()
        if stop is None:
            return held
        audio, tones = order_of(stop.audio), order_of(stop.tones)
        return [(at, one) for at, one in held if order_of(at) > (audio if type(one) is AudioFrame else tones)]
