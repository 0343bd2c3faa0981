"""Messages on their way to one media socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

LIMIT: Final = 500
"""Ten seconds of frames. A peer that leaves so many unread does not read at all."""


class Outbox:
    """`put` never blocks; `send_all` runs beside it."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._something = asyncio.Event()

    @property
    def overfull(self) -> bool:
        return len(self._waiting) > LIMIT

    def put(self, message: str) -> None:
        self._waiting.append(message)
        self._something.set()

    def put_instead(self, message: str) -> None:
        """Send this next and nothing of what was waiting."""
        self._waiting.clear()
        self.put(message)

    async def send_all(self, send: Callable[[str], Awaitable[None]]) -> None:
        """Until cancelled, or `send` raises."""
        while True:
            await self._something.wait()
            self._something.clear()
            while self._waiting:
                await send(self._waiting.popleft())
