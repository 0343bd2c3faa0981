"""Audio frames. All audio is PCM: signed 16 bit, little endian, mono."""

from __future__ import annotations

FRAME_MS = 20
BYTES_PER_SAMPLE = 2
VOICE_RATE_HZ = 24_000
"""Sample rate on the streams and toward Voice Live."""
PHONE_RATE_HZ = 16_000
"""Sample rate of ACS media unless 24 kHz was negotiated."""


def bytes_of_ms(ms: float, rate_hz: int) -> int:
    """Return the number of bytes, rounded down to whole samples."""
    return int(ms * rate_hz / 1000) * BYTES_PER_SAMPLE


def ms_of_bytes(count: int, rate_hz: int) -> float:
    return count * 1000 / (BYTES_PER_SAMPLE * rate_hz)


def frame_bytes(rate_hz: int) -> int:
    return bytes_of_ms(FRAME_MS, rate_hz)


def silence(ms: float, rate_hz: int) -> bytes:
    return bytes(bytes_of_ms(ms, rate_hz))
