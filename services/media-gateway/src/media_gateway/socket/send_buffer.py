"""Messages on their way to one media socket: straight to it, unless the peer does not read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

LIMIT = 500  # not Final: a test lowers it, also in what is compiled
"""Ten seconds of frames. A peer that leaves so many unread does not read at all."""


class SendBuffer:
    """`put` never blocks. `on_overfull` is called when more than `LIMIT` messages wait."""

    def __init__(self, write: Callable[[bytes], None], on_overfull: Callable[[], None]) -> None:
        self._write = write
        self._on_overfull = on_overfull
        self._paused = False
        self._waiting: deque[bytes] = deque()

    def put(self, message: bytes) -> None:
        if not self._paused:
            self._write(message)
            return
        self._waiting.append(message)
        if len(self._waiting) > LIMIT:
            self._on_overfull()

    def put_instead(self, message: bytes) -> None:
        """Send this next and drop the messages that were waiting."""
        self._waiting.clear()
        self.put(message)

    def paused(self, paused: bool) -> None:
        """The connection takes no more for now, or takes what waited."""
        self._paused = paused
        while self._waiting and not self._paused:
            self._write(self._waiting.popleft())
