"""The soft tone that a caller hears while the voice session is reopened."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bridge_common.wire.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ

PITCH_HZ: Final = 425
PEAK: Final = 900
"""Peak amplitude: about -31 dB of full scale, well below speech."""
NOTE_S: Final = 0.4
EVERY_S: Final = 2.0


class HoldTone:
    """Generates the tone frame by frame: a note that swells and fades, then a rest, repeated."""

    def __init__(self, frame_bytes: int) -> None:
        self.sounds = False
        """Whether the next frame has sound: the tone is on, or a note must fade out."""
        self.audible = False
        """Whether the last frame ended in the middle of a note."""
        self._on = False
        self._frame_bytes = frame_bytes
        self._position = 0

    def switch(self, on: bool) -> None:
        self._on = on
        self.sounds = on or self.audible

    def next_frame(self) -> bytes:
        if not self._on:
            return self.fade_out()
        frame = self._frame()
        self._position += len(frame)
        self.audible = bool(frame[-1])
        return frame.astype("<i2").tobytes()

    def fade_out(self) -> bytes:
        """Return the next frame, faded to silence. The next note starts from its beginning."""
        frame = self._frame()
        faded = frame * np.linspace(1, 0, len(frame))
        self.silence()
        return faded.astype("<i2").tobytes()

    def silence(self) -> None:
        """Reset after a clear. The next note starts from its beginning."""
        self.audible = False
        self.sounds = self._on
        self._position = 0

    def _frame(self) -> NDArray[np.int16]:
        indices = np.arange(self._position, self._position + self._frame_bytes // BYTES_PER_SAMPLE)
        return _loop().take(indices, mode="wrap")


@lru_cache
def _loop() -> NDArray[np.int16]:
    note = np.arange(int(NOTE_S * VOICE_RATE_HZ)) / VOICE_RATE_HZ
    swell = np.sin(np.pi * note / NOTE_S) ** 2
    sound = np.zeros(int(EVERY_S * VOICE_RATE_HZ), np.int16)
    sound[: len(note)] = np.rint(PEAK * swell * np.sin(2 * np.pi * PITCH_HZ * note))
    return sound
