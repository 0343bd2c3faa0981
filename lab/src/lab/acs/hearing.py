"""Measures sound and silence of the agent in the audio that was played to the caller, by energy of blocks of 20 ms.

No I/O. `feed` processes the samples of `CallAudio.advance`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BLOCK_MS = 20
HANGOVER_MS = 400
"""Silence of this length ends agent speech; pauses between words are shorter."""


@dataclass(frozen=True, slots=True)
class AgentStarts:
    t: float


@dataclass(frozen=True, slots=True)
class AgentEnds:
    t: float


class Hearing:
    def __init__(self, rate_hz: int, threshold: int) -> None:
        self._rate_hz = rate_hz
        self._threshold = float(threshold)
        self._block_bytes = rate_hz * BLOCK_MS // 1000 * 2
        self.sound_ms = 0.0
        """Total agent sound in ms."""
        self.quiet_ms = 0.0
        """Milliseconds since the last agent sound, or since the line opened."""
        self.speaking = False
        """True from the first sound until `HANGOVER_MS` of silence."""

    def feed(self, heard: bytes, now: float) -> list[AgentStarts | AgentEnds]:
        """Process `heard`, audio that ended at `now`. Return starts and ends of agent speech with their times."""
        events: list[AgentStarts | AgentEnds] = []
        for start in range(0, len(heard), self._block_bytes):
            block = heard[start : start + self._block_bytes]
            ms = len(block) / 2 / self._rate_hz * 1000
            block_start = now - (len(heard) - start) / 2 / self._rate_hz
            if self._loud(block):
                self.sound_ms += ms
                self.quiet_ms = 0.0
                if not self.speaking:
                    self.speaking = True
                    events.append(AgentStarts(block_start))
            else:
                self.quiet_ms += ms
                if self.speaking and self.quiet_ms >= HANGOVER_MS:
                    self.speaking = False
                    events.append(AgentEnds(block_start + (ms - self.quiet_ms) / 1000))
        return events

    def _loud(self, block: bytes) -> bool:
        if not block.strip(b"\0"):
            return False
        samples = np.frombuffer(block, dtype="<i2").astype(np.float32)
        return float(np.dot(samples, samples)) / len(samples) > self._threshold**2
