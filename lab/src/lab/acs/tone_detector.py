"""Distinguishes the hold tone of the media gateway from speech: a soft sine of one known pitch. No I/O."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

PITCH_HZ: Final = 425
LOUDEST_RMS: Final = 700.0
"""Louder sound is speech: the tone has a peak amplitude of 900."""
SHARE: Final = 0.85
"""Minimum share of a block's energy that a sine of this pitch explains. The synthesizer's speech stays below 0.7."""
SHARE_AFTER_TONE: Final = 0.6
"""The same after a block of the tone, which may be cut in the middle of a block."""
SHORTEST_MS: Final = 10

Samples = NDArray[np.float32]


class HoldToneDetector:
    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._after_tone = False

    def hears(self, samples: Samples) -> bool:
        """Return whether a block that is not silent is the hold tone. A short one is like the block before it: sines
        explain any few samples.
        """
        if len(samples) * 1000 < SHORTEST_MS * self._rate_hz:
            return self._after_tone
        energy = float(np.dot(samples, samples))
        explained = _sines(self._rate_hz, len(samples)) @ samples
        share = float(np.dot(explained, explained)) / energy if energy else 0.0
        quiet = energy <= LOUDEST_RMS**2 * len(samples)
        self._after_tone = quiet and share >= (SHARE_AFTER_TONE if self._after_tone else SHARE)
        return self._after_tone


@lru_cache
def _sines(rate_hz: int, count: int) -> Samples:
    """An orthonormal basis of sines of the pitch, in both phases, each with a constant and a rising amplitude."""
    angle = 2 * np.pi * PITCH_HZ / rate_hz * np.arange(count)
    ramp = np.linspace(-1, 1, count)
    waves = [np.sin(angle), np.cos(angle), ramp * np.sin(angle), ramp * np.cos(angle)]
    basis, _ = np.linalg.qr(np.stack(waves, axis=1))
    return np.asarray(basis.T, dtype=np.float32)
