"""Cuts audio into frames of one length."""

from __future__ import annotations


class Framing:
    """Cuts a stream of bytes into frames of exactly `frame_bytes`."""

    def __init__(self, frame_bytes: int) -> None:
        self._frame_bytes = frame_bytes
        self.rest = b""
        """The beginning of an incomplete frame."""

    def feed(self, pcm: bytes) -> list[bytes]:
        size = self._frame_bytes
        if not self.rest and len(pcm) == size:
            return [pcm]
        pcm = self.rest + pcm
        whole = len(pcm) - len(pcm) % size
        self.rest = pcm[whole:]
        return [pcm[start : start + size] for start in range(0, whole, size)]
