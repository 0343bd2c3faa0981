"""Lag of the event loop, which delays every frame of the process."""

from __future__ import annotations

import asyncio
from typing import Final

from bridge_common.observability.telemetry import gauge, histogram

LAG: Final = histogram(
    "bridge_event_loop_lag_seconds",
    "Delay of a timer beyond its due time, sampled twice a second",
    (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
TASKS: Final = gauge("bridge_tasks", "asyncio tasks of this process, counted twice a second")


class LoopLag:
    """Measures the lag of the event loop. Uses a timer, not a task."""

    def __init__(self, period_s: float = 0.5) -> None:
        self._period_s = period_s
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        self._set(asyncio.get_running_loop())

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + self._period_s
        self._timer = loop.call_at(self._due, self._fire, loop)

    def _fire(self, loop: asyncio.AbstractEventLoop) -> None:
        LAG.observe(max(loop.time() - self._due, 0.0))
        TASKS.set(len(asyncio.all_tasks(loop)))
        self._set(loop)
