"""One clock for the frames of all calls: calls every member each 20 ms, without drift.

Deadlines are absolute. Members are distributed over four phases of 5 ms, so that many calls do not send in one burst.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

PERIOD_S = 0.020
PHASES = 4
_STEP_S = PERIOD_S / PHASES
CATCH_UP_S = 1.0
"""Ticks that are overdue by more than this are skipped: the machine was suspended."""

Tick = Callable[[float], None]
logger = logging.getLogger(__name__)


class FrameClock:
    """Calls its members every 20 ms. Uses event loop timers while it has members. Call all methods in the thread of the
    loop.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._phases: tuple[list[Tick], ...] = tuple([] for _ in range(PHASES))
        self._next_phase = 0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def join(self, tick: Tick) -> None:
        """Add a member: call `tick(now)` every 20 ms, the first time within 20 ms."""
        smallest = min(range(PHASES), key=lambda phase: len(self._phases[phase]))
        self._phases[smallest].append(tick)
        if self._timer is None:
            self._deadline = self._clock()
            self._schedule()

    def leave(self, tick: Tick) -> None:
        for members in self._phases:
            if tick in members:
                members.remove(tick)
        if self._timer is not None and not any(self._phases):
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, self._deadline - self._clock()), self.run_due)

    def run_due(self) -> None:
        """Call the members whose ticks are due, and set the timer for the next."""
        if self._timer is not None:
            self._timer.cancel()
        now = self._clock()
        if now - self._deadline > CATCH_UP_S:
            self._deadline = now
        while self._deadline <= now:
            for tick in tuple(self._phases[self._next_phase]):
                try:
                    tick(self._clock())
                except Exception:
                    logger.exception("frame tick failed; no more frames for this call")
                    self.leave(tick)
            self._next_phase = (self._next_phase + 1) % PHASES
            self._deadline += _STEP_S
        if any(self._phases):
            self._schedule()
        else:
            self._timer = None
