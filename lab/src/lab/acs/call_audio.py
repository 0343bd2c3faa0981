"""Playback queue of the caller's phone: audio is played in real time; StopAudio drops the unplayed part.

No I/O; `now` is monotonic time in seconds. Playback starts when audio arrives at an empty queue. An empty queue plays
silence, so the samples rendered since `opened` are exactly what the caller heard.
"""

from __future__ import annotations

from collections import deque

BYTES_A_SAMPLE = 2


class CallAudio:
    def __init__(self, rate_hz: int, opened: float) -> None:
        self.rate_hz = rate_hz
        self._opened = opened
        self._queue: deque[bytes] = deque()
        self._head = 0
        self._queued_bytes = 0
        self._rendered_samples = 0
        self._pending = bytearray()

    @property
    def queued_ms(self) -> float:
        return self._ms(self._queued_bytes)

    def add(self, pcm: bytes, now: float) -> None:
        """Append PCM16LE mono to the queue: whole samples, any length."""
        self._render(now)
        if pcm:
            self._queue.append(pcm)
            self._queued_bytes += len(pcm)

    def clear(self, now: float) -> float:
        """Drop the unplayed audio and return its duration in ms."""
        self._render(now)
        dropped_ms = self._ms(self._queued_bytes)
        self._queue.clear()
        self._head = 0
        self._queued_bytes = 0
        return dropped_ms

    def advance(self, now: float) -> bytes:
        """Return the samples played since the previous `advance` (or since `opened`), including silence."""
        self._render(now)
        heard = bytes(self._pending)
        self._pending.clear()
        return heard

    def _render(self, now: float) -> None:
        due = round((now - self._opened) * self.rate_hz) - self._rendered_samples
        if due <= 0:
            return
        self._rendered_samples += due
        wanted = due * BYTES_A_SAMPLE
        while wanted and self._queue:
            block = self._queue[0]
            piece = block[self._head : self._head + wanted]
            self._pending += piece
            wanted -= len(piece)
            self._queued_bytes -= len(piece)
            self._head += len(piece)
            if self._head == len(block):
                self._queue.popleft()
                self._head = 0
        self._pending += bytes(wanted)

    def _ms(self, count: int) -> float:
        return count / BYTES_A_SAMPLE / self.rate_hz * 1000
