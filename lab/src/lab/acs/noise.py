"""Noise floor of a phone line, deterministic. A telephone network never delivers digital silence."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from lab.acs.media_codec import FRAME_MS, frame_bytes

_LOOP_FRAMES = 250
"""The noise repeats after five seconds: rendered once, it makes a silent frame as cheap as a frame of zeros."""
_SEED = 7
_FULL_SCALE = 32768.0


class NoiseFloor:
    """White noise with an RMS level of `dbfs` relative to 16-bit full scale. The samples are the same on every line."""

    def __init__(self, rate_hz: int, dbfs: float) -> None:
        self._frames = _loop(rate_hz, dbfs)
        self._next = 0

    def under(self, frame: bytes | None) -> bytes:
        """Return the next 20 ms of noise mixed with `frame`; `None` is a frame of silence."""
        noise = self._frames[self._next]
        self._next = (self._next + 1) % _LOOP_FRAMES
        if frame is None:
            return noise
        mixed = np.frombuffer(frame, "<i2").astype(np.int32) + np.frombuffer(noise, "<i2")
        clipped: bytes = np.clip(mixed, -32768, 32767).astype("<i2").tobytes()
        return clipped


@lru_cache(maxsize=8)
def _loop(rate_hz: int, dbfs: float) -> tuple[bytes, ...]:
    level = _FULL_SCALE * 10 ** (dbfs / 20)
    count = rate_hz * FRAME_MS * _LOOP_FRAMES // 1000
    samples = np.random.default_rng(_SEED).normal(0.0, level, count).round().clip(-32768, 32767)
    pcm, size = samples.astype("<i2").tobytes(), frame_bytes(rate_hz)
    return tuple(pcm[start : start + size] for start in range(0, len(pcm), size))
