"""When to try again: exponential with jitter, within a budget of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    first_s: float = 0.1
    factor: float = 2.0
    most_s: float = 0.8
    """A caller is waiting: once the service can be reached again, nobody should notice it much later."""
    budget_s: float = 20.0

    def waits(self, random: Callable[[], float]) -> Waits:
        """`random` draws from [0, 1)."""
        return Waits(self, random)


class Waits:
    """The waits of one series of attempts, counted from its first failure."""

    def __init__(self, backoff: Backoff, random: Callable[[], float]) -> None:
        self._backoff = backoff
        self._random = random
        self._failures = 0
        self._since: float | None = None

    def after_failure(self, now: float) -> float | None:
        """Seconds to wait before the next attempt, or None when the budget is spent.

        Each wait lies between half and all of its exponential step: calls that lost their sessions together come back
        apart, and none comes back at once.
        """
        self._begin(now)
        step = min(self._backoff.first_s * self._backoff.factor**self._failures, self._backoff.most_s)
        self._failures = min(self._failures + 1, 32)
        return self._within(step * (0.5 + self._random() / 2), now)

    def told(self, wait_s: float, now: float) -> float | None:
        """The same when it is known from when on an attempt can help: none is made before."""
        self._begin(now)
        return self._within(wait_s + self._random() * self._backoff.first_s, now)

    def _begin(self, now: float) -> None:
        if self._since is None:
            self._since = now

    def _within(self, wait: float, now: float) -> float | None:
        assert self._since is not None
        return wait if wait < self._since + self._backoff.budget_s - now else None
