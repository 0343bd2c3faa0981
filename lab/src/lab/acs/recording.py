"""Stereo recording of a call: the caller on the left, the agent as heard by the caller on the right. It starts when the
line opens.
"""

from __future__ import annotations

import io
import wave

import numpy as np

BYTES_A_SAMPLE = 2


class CallRecording:
    """Stereo samples up to `limit_s`. Later audio is dropped: a call that never ends must not exhaust the memory."""

    def __init__(self, rate_hz: int, limit_s: float = 1800.0) -> None:
        self.rate_hz = rate_hz
        self._limit_bytes = int(limit_s * rate_hz) * BYTES_A_SAMPLE
        self._left = bytearray()
        self._right = bytearray()

    @property
    def left_samples(self) -> int:
        return len(self._left) // BYTES_A_SAMPLE

    def say(self, pcm: bytes) -> None:
        self._append(self._left, pcm)

    def hear(self, pcm: bytes) -> None:
        self._append(self._right, pcm)

    def wav(self) -> bytes:
        length = max(len(self._left), len(self._right))
        channels = [np.frombuffer(bytes(side).ljust(length, b"\0"), dtype="<i2") for side in (self._left, self._right)]
        out = io.BytesIO()
        with wave.open(out, "wb") as writer:
            writer.setnchannels(2)
            writer.setsampwidth(BYTES_A_SAMPLE)
            writer.setframerate(self.rate_hz)
            writer.writeframes(np.column_stack(channels).astype("<i2").tobytes())
        return out.getvalue()

    def _append(self, side: bytearray, pcm: bytes) -> None:
        room = self._limit_bytes - len(side)
        if room > 0:
            side += pcm[:room]
