"""The clock of a simulation: a heap of events, in order of time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[], None]


class Clock:
    """Events of the same time are executed in the order in which they were added."""

    def __init__(self, start_s: float = 0.0) -> None:
        self.now = start_s
        self._events: list[tuple[float, int, Action]] = []
        self._numbers = count()

    def after(self, delay_s: float, action: Action) -> None:
        heapq.heappush(self._events, (self.now + delay_s, next(self._numbers), action))

    def every(self, period_s: float, action: Action) -> None:
        def repeat() -> None:
            action()
            self.after(period_s, repeat)

        self.after(period_s, repeat)

    def run(self, until_s: float) -> None:
        events = self._events
        while events and events[0][0] <= until_s:
            self.now, _, action = heapq.heappop(events)
            action()
        self.now = until_s
