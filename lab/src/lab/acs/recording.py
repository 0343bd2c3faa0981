"""Stereo recording of one phone: its own voice on the left, what it hears on the right. It starts when the line
opens.
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
        self._others = bytearray()
        """Voices of the other people in the call; like the left channel in frames, and mixed into the right one."""

    @property
    def left_samples(self) -> int:
        return len(self._left) // BYTES_A_SAMPLE

    def say(self, pcm: bytes) -> None:
        self._append(self._left, pcm)

    def hear(self, pcm: bytes) -> None:
        self._append(self._right, pcm)

    def overhear(self, pcm: bytes) -> None:
        """Add the voices of the others, at the time of the frame that was last passed to `say`."""
        self._append(self._others, bytes(max(0, len(self._left) - len(pcm) - len(self._others))))
        self._append(self._others, pcm)

    def wav(self, *, others: bool = True) -> bytes:
        """`others`: with the voices of the other people in the call."""
        length = max(len(self._left), len(self._right), len(self._others))
        tracks = (self._left, self._right, self._others)
        left, right, voices = (np.frombuffer(bytes(one).ljust(length, b"\0"), dtype="<i2") for one in tracks)
        channels = [left, np.clip(right.astype(np.int32) + voices, -32768, 32767) if others else right]
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
