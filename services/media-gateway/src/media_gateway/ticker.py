"""One timer for all calls of the process. At each beat it ticks the calls that are due."""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
from typing import Final, Protocol

log = logging.getLogger(__name__)

BEAT_S: Final = 0.02


class Ticked(Protocol):
    def tick(self, now: float) -> None:
        """Handle a tick at loop time `now`. Must not block."""


class Ticker:
    """Ticks calls at their due times, which are rounded up to whole beats, so that calls share wake-ups."""

    def __init__(self, beat_s: float = BEAT_S) -> None:
        self._beat_s = beat_s
        self._due: dict[int, dict[Ticked, None]] = {}
        """Calls by the beat at which they are due. Beats are counted from time 0 of the loop."""
        self._beats: list[int] = []
        """Heap of the keys of `_due`."""
        self._beat_of: dict[Ticked, int] = {}
        self._last = -1
        """The newest beat that has passed."""
        self._beating = False
        self._timer: asyncio.TimerHandle | None = None

    def wake(self, ticked: Ticked, at: float | None) -> None:
        """Tick a call once, at the first beat from `at` on. Replaces its earlier due time; None: do not tick it."""
        beat = None if at is None else max(math.ceil(max(at, 0.0) / self._beat_s), self._last + 1)
        known = self._beat_of.get(ticked)
        if beat == known:
            return
        if known is not None:
            del self._beat_of[ticked]
            del self._due[known][ticked]
        if beat is None:
            return
        self._beat_of[ticked] = beat
        together = self._due.get(beat)
        if together is not None:
            together[ticked] = None
            return
        self._due[beat] = {ticked: None}
        heapq.heappush(self._beats, beat)
        if self._beats[0] == beat and not self._beating:
            self._set_timer()

    def stop(self) -> None:
        """Remove all calls."""
        self._due.clear()
        self._beats.clear()
        self._beat_of.clear()
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._beats[0] * self._beat_s, self._beat) if self._beats else None

    def _beat(self) -> None:
        now = asyncio.get_running_loop().time()
        # A timer may fire early, within the resolution of the loop.
        self._last = math.floor(now / self._beat_s + 0.1)
        self._beating = True
        while self._beats and self._beats[0] <= self._last:
            together = self._due[self._beats[0]]
            while together:
                ticked = next(iter(together))
                del together[ticked], self._beat_of[ticked]
                _tick(ticked, now)
            if self._beats:
                del self._due[heapq.heappop(self._beats)]
        self._beating = False
        self._set_timer()


def _tick(ticked: Ticked, now: float) -> None:
    try:
        ticked.tick(now)
    except Exception:
        # A failure of one call must not stop the audio of the others.
        log.exception("call playout failed")
