"""Cutting the caller's sound into frames of one length, however it was cut when it came."""

from __future__ import annotations


class Framing:
    """Collects bytes and gives them back in frames of exactly `frame_bytes`, without a gap or an overlap."""

    def __init__(self, frame_bytes: int) -> None:
        self._frame_bytes = frame_bytes
        self.rest = b""
        """The beginning of a frame that is not complete."""

    def feed(self, pcm: bytes) -> list[bytes]:
        size = self._frame_bytes
        if not self.rest and len(pcm) == size:
            return [pcm]
        pcm = self.rest + pcm
        whole = len(pcm) - len(pcm) % size
        self.rest = pcm[whole:]
        return [pcm[start : start + size] for start in range(0, whole, size)]
