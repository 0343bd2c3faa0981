"""The sound of a telephone key: two sine waves (ITU-T Q.23)."""

from __future__ import annotations

from typing import Final

import numpy as np

SOUND_S: Final = 0.1
_ROWS: Final = ("123A", "456B", "789C", "*0#D")
_LOW_HZ: Final = (697, 770, 852, 941)
_HIGH_HZ: Final = (1209, 1336, 1477, 1633)
_AMPLITUDE: Final = 6000


def key_sound(key: str, rate_hz: int) -> bytes:
    """Return `SOUND_S` seconds of 16-bit PCM."""
    row = next(number for number, keys in enumerate(_ROWS) if key in keys)
    at = np.arange(round(SOUND_S * rate_hz)) * 2 * np.pi / rate_hz
    waves = np.sin(at * _LOW_HZ[row]) + np.sin(at * _HIGH_HZ[_ROWS[row].index(key)])
    return (waves * _AMPLITUDE).astype("<i2").tobytes()
