"""The caller's frames that cannot be passed on yet: kept for a moment, then sent several at a time."""

from __future__ import annotations

from collections import deque
from typing import Final

from agent_relay.core.voice_codec import encode_append

KEPT_FRAMES: Final = 100
"""2 s. Speech that is older answers a question that nobody remembers."""
MOST_FRAMES: Final = 5
"""Frames in one append after a gap: 100 ms."""


class UplinkAudio:
    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, pcm24k: bytes) -> None:
        self._frames.append(pcm24k)
        if len(self._frames) > KEPT_FRAMES:
            self._frames.popleft()
            self.dropped += 1

    def take(self) -> bytes | None:
        """The next append, or None when all is sent."""
        if not self._frames:
            return None
        count = min(len(self._frames), MOST_FRAMES)
        if count == 1:
            return encode_append(self._frames.popleft())
        return encode_append(b"".join([self._frames.popleft() for _ in range(count)]))
