"""One beat for all calls of the process, instead of a timer for each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, TypeAlias

log = logging.getLogger(__name__)

BEAT_S: Final = 0.02

OnBeat: TypeAlias = Callable[[float], None]
"""Called with the loop's time. Must not block."""


class Ticker:
    def __init__(self, beat_s: float = BEAT_S) -> None:
        self._beat_s = beat_s
        self._listeners: list[OnBeat] = []

    def add(self, on_beat: OnBeat) -> None:
        self._listeners.append(on_beat)

    def remove(self, on_beat: OnBeat) -> None:
        if on_beat in self._listeners:
            self._listeners.remove(on_beat)

    async def run(self) -> None:
        """Beat until cancelled, by the clock: a late beat does not move those after it."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + self._beat_s, loop.time())
            await asyncio.sleep(due - loop.time())
            now = loop.time()
            for on_beat in tuple(self._listeners):
                try:
                    on_beat(now)
                except Exception:
                    # One call's fault must not stop the audio of all others.
                    log.exception("beat failed")
