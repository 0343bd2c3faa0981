"""Adds the audio of several participants in slots of 20 ms. No I/O; `now` in seconds.

Each participant has a timeline of their own, in slots of the arrival clock. A slot is complete when each participant
who currently sends frames has one for it, or `LATE_S` after its beginning; participants without a frame are silent in
it. So frames may arrive in bursts, and the output is as long as the time that has passed.

The timestamps of the frames are not used: their clock and resolution are not documented, and the frames of a
participant arrive in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bridge_common.wire.audio import FRAME_MS
from media_gateway.core.framing import Framing

SLOT_S: Final = FRAME_MS / 1000
LATE_S: Final = 0.12
"""A slot is complete this long after its beginning at the latest: frames may be 100 ms late."""
EARLY_S: Final = 0.1
"""A slot is complete this long before its beginning at the earliest, if audio arrives faster than real time."""
SENDS_S: Final = 0.2
"""A participant without frames for this time is not waited for."""
MOST_AHEAD: Final = 12
"""Maximum slots from the current one to a participant's newest frame. In a longer burst the oldest frames are cut."""
_STALL_S: Final = 1.0
"""After a longer pause of the process, the missed slots are skipped."""
_PCM: Final = np.dtype("<i2")


@dataclass(slots=True)
class _Timeline:
    framing: Framing
    end: int
    """Slot of the next frame."""
    at: float
    """Time of the latest frame."""
    frames: deque[bytes] = field(default_factory=deque)

    @property
    def begin(self) -> int:
        return self.end - len(self.frames)


class ParticipantMix:
    """The slots of one media socket. Call `due` after every `push` and at `next_at`.

    `slot_bytes`: PCM of 20 ms. `now`: the beginning of the first slot.
    """

    def __init__(self, slot_bytes: int, now: float) -> None:
        self.cut = 0
        """Number of frames that were cut from bursts."""
        self._slot_bytes = slot_bytes
        self._silence = bytes(slot_bytes)
        self._next = 0
        self._begins_at = now
        """Time at which slot `_next` begins."""
        self._timelines: dict[str, _Timeline] = {}

    def push(self, source: str, pcm: bytes, now: float) -> None:
        """Add audio of a participant, of any length."""
        # Slots that are complete early are in the future.
        current = max(self._next, self._next + int((now - self._begins_at) // SLOT_S))
        timeline = self._timelines.get(source)
        if timeline is None:
            timeline = self._timelines[source] = _Timeline(Framing(self._slot_bytes), current, now)
        timeline.at = now
        timeline.end = max(timeline.end, self._next)
        for frame in timeline.framing.feed(pcm):
            timeline.frames.append(frame)
            if timeline.end - current < MOST_AHEAD:
                timeline.end += 1
            else:
                timeline.frames.popleft()
                self.cut += 1

    def keep(self, heard: Callable[[str], bool]) -> None:
        """Drop the waiting audio of the other participants. `heard`: whether a source is still heard."""
        self._timelines = {one: timeline for one, timeline in self._timelines.items() if heard(one)}

    def due(self, now: float) -> list[bytes]:
        """Return the complete slots."""
        if now - self._begins_at > _STALL_S:
            self._begins_at = now - LATE_S
        slots: list[bytes] = []
        while self._complete(now):
            slots.append(self._take())
        for source, timeline in list(self._timelines.items()):
            if not timeline.frames and now - timeline.at >= SENDS_S:
                del self._timelines[source]
        return slots

    def next_at(self) -> float:
        """Return the time at which the next slot is complete, if no audio arrives before."""
        waits = any(not timeline.frames for timeline in self._timelines.values()) or not self._timelines
        return self._begins_at + (LATE_S if waits else -EARLY_S)

    def _complete(self, now: float) -> bool:
        if now >= self._begins_at + LATE_S:
            return True
        sending = [one for one in self._timelines.values() if one.frames or now - one.at < SENDS_S]
        return bool(sending) and all(one.frames for one in sending) and now >= self._begins_at - EARLY_S

    def _take(self) -> bytes:
        audible = [
            frame
            for one in self._timelines.values()
            if one.frames and one.begin == self._next and (frame := one.frames.popleft()) != self._silence
        ]
        self._next += 1
        self._begins_at += SLOT_S
        return mix(audible) if audible else self._silence


def mix(frames: list[bytes]) -> bytes:
    """Return the sum of PCM frames of one length, limited to 16 bits."""
    if len(frames) == 1:
        return frames[0]
    total = np.frombuffer(frames[0], _PCM).astype(np.int32)
    for frame in frames[1:]:
        total += np.frombuffer(frame, _PCM)
    mixed: bytes = np.clip(total, -32_768, 32_767).astype(_PCM).tobytes()
    return mixed
