"""Voice activity detection by energy, on the clock of the appended audio.

Wall time has no effect: ten seconds appended in one event give the same turns as audio appended in real time. If a
client stops appending during silence, its turn never ends, like in the service.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

BLOCK_MS = 10
FULL_THRESHOLD_RMS = 1000.0
"""Loudness that corresponds to `threshold: 1`: root mean square of 16-bit samples about their mean. Proportional for
other values.
"""


class DetectedSpeechStart(NamedTuple):
    """The caller began to speak. `audio_start_ms`: since the first audio of the session, minus the prefix padding."""

    audio_start_ms: int


class DetectedSpeechStop(NamedTuple):
    """The caller stopped speaking. `audio_end_ms` includes the silence that ended the turn."""

    audio_end_ms: int


@dataclass(frozen=True)
class TurnRules:
    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    speech_duration_ms: int = 200


@dataclass
class TurnDetector:
    rules: TurnRules
    rate_hz: int
    heard_ms: int = 0
    speaking: bool = False
    _voiced_ms: int = 0
    _silent_ms: int = 0
    _onset_ms: int = 0
    _remainder: bytes = field(default=b"", repr=False)

    def feed(self, pcm: bytes) -> list[DetectedSpeechStart | DetectedSpeechStop]:
        """Process the next piece of PCM16 mono, of any size. Return the starts and ends of speech."""
        block_bytes = self.rate_hz * BLOCK_MS // 1000 * 2
        pcm = self._remainder + pcm
        whole = len(pcm) // block_bytes * block_bytes
        self._remainder = pcm[whole:]
        if not whole:
            return []
        blocks = np.frombuffer(pcm[:whole], dtype="<i2").reshape(-1, block_bytes // 2).astype(np.float32)
        # The standard deviation ignores a constant offset, such as from a badly centered converter.
        loudness = blocks.std(axis=1)
        found: list[DetectedSpeechStart | DetectedSpeechStop] = []
        for voiced in (loudness >= self.rules.threshold * FULL_THRESHOLD_RMS).tolist():
            self.heard_ms += BLOCK_MS
            edge = self._hear_silence_end(voiced) if self.speaking else self._hear_onset(voiced)
            if edge is not None:
                found.append(edge)
        return found

    def reset(self) -> None:
        self.speaking = False
        self._voiced_ms = self._silent_ms = 0

    def _hear_onset(self, voiced: bool) -> DetectedSpeechStart | None:
        """Detect the start of speech. Short dips within a word reduce the count instead of resetting it; a click alone
        is too short.
        """
        if voiced and self._voiced_ms == 0:
            self._onset_ms = self.heard_ms - BLOCK_MS
        self._voiced_ms = self._voiced_ms + BLOCK_MS if voiced else max(0, self._voiced_ms - BLOCK_MS)
        if not voiced or self._voiced_ms < self.rules.speech_duration_ms:
            return None
        self.speaking = True
        self._voiced_ms = self._silent_ms = 0
        return DetectedSpeechStart(max(0, self._onset_ms - self.rules.prefix_padding_ms))

    def _hear_silence_end(self, voiced: bool) -> DetectedSpeechStop | None:
        self._silent_ms = 0 if voiced else self._silent_ms + BLOCK_MS
        if voiced or self._silent_ms < self.rules.silence_duration_ms:
            return None
        self.reset()
        return DetectedSpeechStop(self.heard_ms)
