"""Voice activity detection by energy, on the clock of the appended audio.

Wall time plays no part: a client that appends ten seconds at once gets the same turns as one that appends in real time,
and one that stops appending during silence never gets its turn ended (as with the service).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

BLOCK_MS = 10
FULL_THRESHOLD_RMS = 1000.0
"""Loudness (root mean square of 16-bit samples about their mean) that `threshold: 1` asks for; the default 0.5 asks for
half of it."""


class DetectedSpeechStart(NamedTuple):
    """`audio_start_ms` counts from the first audio of the session, less the prefix padding."""

    audio_start_ms: int


class DetectedSpeechStop(NamedTuple):
    """`audio_end_ms` includes the silence that ended the turn."""

    audio_end_ms: int


@dataclass(frozen=True)
class TurnRules:
    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    speech_duration_ms: int = 200


@dataclass
class TurnDetector:
    """Feed it PCM16 mono as it comes, in pieces of any size."""

    rules: TurnRules
    rate_hz: int
    heard_ms: int = 0
    speaking: bool = False
    _voiced_ms: int = 0
    _silent_ms: int = 0
    _onset_ms: int = 0
    _remainder: bytes = field(default=b"", repr=False)

    def feed(self, pcm: bytes) -> list[DetectedSpeechStart | DetectedSpeechStop]:
        """The turns' edges that this piece brought, in order."""
        block_bytes = self.rate_hz * BLOCK_MS // 1000 * 2
        pcm = self._remainder + pcm
        whole = len(pcm) // block_bytes * block_bytes
        self._remainder = pcm[whole:]
        if not whole:
            return []
        blocks = np.frombuffer(pcm[:whole], dtype="<i2").reshape(-1, block_bytes // 2).astype(np.float32)
        # The variation alone is sound: a constant, as from a badly centered converter, is silence.
        loudness = blocks.std(axis=1)
        found: list[DetectedSpeechStart | DetectedSpeechStop] = []
        for voiced in (loudness >= self.rules.threshold * FULL_THRESHOLD_RMS).tolist():
            self.heard_ms += BLOCK_MS
            edge = self._hear_silence_end(voiced) if self.speaking else self._hear_onset(voiced)
            if edge is not None:
                found.append(edge)
        return found

    def reset(self) -> None:
        """Forget a turn under way; the clock goes on."""
        self.speaking = False
        self._voiced_ms = self._silent_ms = 0

    def _hear_onset(self, voiced: bool) -> DetectedSpeechStart | None:
        """Short dips inside a word count against the onset instead of restarting it; a click alone never gets there."""
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
