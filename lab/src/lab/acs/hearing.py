"""Measures speech and silence of the agent in the audio that was played to the caller, by energy of blocks of 20 ms.
The hold tone is not speech: it counts as silence and is reported by itself.

No I/O. `feed` processes the samples of `CallAudio.advance`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.acs.tone_detector import HoldToneDetector, Samples

BLOCK_MS = 20
HANGOVER_MS = 400
"""Silence of this length ends agent speech; pauses between words are shorter."""
TONE_PAUSE_MS = 2500
"""Without the hold tone for this long, its next note is reported again. Its notes are 2 s apart."""


@dataclass(frozen=True, slots=True)
class AgentStarts:
    t: float


@dataclass(frozen=True, slots=True)
class AgentEnds:
    t: float


@dataclass(frozen=True, slots=True)
class HoldToneStarts:
    t: float


Heard = AgentStarts | AgentEnds | HoldToneStarts


class Hearing:
    def __init__(self, rate_hz: int, threshold: int) -> None:
        self._rate_hz = rate_hz
        self._threshold = float(threshold)
        self._block_bytes = rate_hz * BLOCK_MS // 1000 * 2
        self.sound_ms = 0.0
        """Total speech of the agent in ms."""
        self.quiet_ms = 0.0
        """Milliseconds since the agent's last speech, or since the line opened."""
        self._tone = HoldToneDetector(rate_hz)
        self._tone_pause_ms = float(TONE_PAUSE_MS)
        self.speaking = False
        """True from the first speech until `HANGOVER_MS` of silence."""

    def feed(self, heard: bytes, now: float) -> list[Heard]:
        """Process `heard`, audio that ended at `now`. Return starts and ends with their times."""
        events: list[Heard] = []
        for start in range(0, len(heard), self._block_bytes):
            block = heard[start : start + self._block_bytes]
            ms = len(block) / 2 / self._rate_hz * 1000
            block_start = now - (len(heard) - start) / 2 / self._rate_hz
            samples = self._sound(block)
            tone = samples is not None and self._tone.hears(samples)
            if tone and self._tone_pause_ms >= TONE_PAUSE_MS:
                events.append(HoldToneStarts(block_start))
            self._tone_pause_ms = 0.0 if tone else self._tone_pause_ms + ms
            if samples is not None and not tone:
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

    def _sound(self, block: bytes) -> Samples | None:
        """Return the samples of a block, None if it is silent."""
        if not block.strip(b"\0"):
            return None
        samples = np.frombuffer(block, dtype="<i2").astype(np.float32)
        loud = float(np.dot(samples, samples)) / len(samples) > self._threshold**2
        return samples if loud else None
