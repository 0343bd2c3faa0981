"""One clock for the frames of all calls: every member is called each 20 ms, without drift.

Deadlines are absolute. The members are spread over four phases of 5 ms, so that many calls do not send in one burst,
as the calls of a real service do not.
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
"""Frames owed for longer than this are given up: the machine was suspended or is hopelessly late."""

Tick = Callable[[float], None]
logger = logging.getLogger(__name__)


class FrameClock:
    """Runs on the event loop's timers while it has members; `join` and `leave` are for the loop's own thread."""

    def __init__(self) -> None:
        self._phases: tuple[list[Tick], ...] = tuple([] for _ in range(PHASES))
        self._next_phase = 0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def join(self, tick: Tick) -> None:
        """Call `tick(time.monotonic())` every 20 ms from now on, first within 20 ms."""
        smallest = min(range(PHASES), key=lambda phase: len(self._phases[phase]))
        self._phases[smallest].append(tick)
        if self._timer is None:
            self._deadline = time.monotonic()
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
        self._timer = loop.call_later(max(0.0, self._deadline - time.monotonic()), self._run)

    def _run(self) -> None:
        now = time.monotonic()
        if now - self._deadline > CATCH_UP_S:
            self._deadline = now
        while self._deadline <= now:
            for tick in tuple(self._phases[self._next_phase]):
                try:
                    tick(time.monotonic())
                except Exception:
                    logger.exception("a call's tick failed")
                    self.leave(tick)
            self._next_phase = (self._next_phase + 1) % PHASES
            self._deadline += _STEP_S
        if any(self._phases):
            self._schedule()
        else:
            self._timer = None
