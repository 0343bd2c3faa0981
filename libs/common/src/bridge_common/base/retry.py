"""Retries: the delays between attempts as a value, and the two functions that use them (ADR 6 compares libraries)."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from bridge_common.base.errors import OutsideError, error_text
from bridge_common.base.outage_logger import OutageLogger

_T = TypeVar("_T")
_E = TypeVar("_E", bound=Exception)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that grow by `factor` from `first_s` to `most_s`, within a time budget.

    Each delay is random between half and all of its step, so that clients that failed together do not retry together.
    """

    first_s: float = 0.1
    factor: float = 2.0
    most_s: float = 0.8
    """Maximum delay. The default is short because a caller may be waiting: once the service is back, the retry should
    follow soon.
    """
    budget_s: float = math.inf

    @classmethod
    def constant(cls, delay_s: float, budget_s: float = math.inf) -> Backoff:
        return cls(delay_s, 1.0, delay_s, budget_s)

    def delays(self, random: Callable[[], float] = random.random, *, since: float | None = None) -> Delays:
        """Start a series of attempts. `random` returns values in [0, 1). `since`: start of the budget; by default the
        first failure.
        """
        return Delays(self, random, since)


class Delays:
    """The delays of one series of attempts."""

    def __init__(self, backoff: Backoff, random: Callable[[], float], since: float | None) -> None:
        self._backoff = backoff
        self._random = random
        self._since = since
        self._failures = 0

    def after_failure(self, now: float) -> float | None:
        """Return the seconds until the next attempt, or None if it would exceed the budget."""
        step = min(self._backoff.first_s * self._backoff.factor**self._failures, self._backoff.most_s)
        self._failures = min(self._failures + 1, 32)
        return self._within_budget(step * (0.5 + self._random() / 2), now)

    def after_refusal(self, retry_after_s: float, now: float) -> float | None:
        """Return the seconds until the next attempt after a response with `Retry-After`, or None if it would exceed the
        budget. The later delays do not grow by it.
        """
        return self._within_budget(retry_after_s + self._random() * self._backoff.first_s, now)

    def _within_budget(self, delay_s: float, now: float) -> float | None:
        if self._since is None:
            self._since = now
        return delay_s if delay_s < self._since + self._backoff.budget_s - now else None


async def retry(
    attempt: Callable[[], Awaitable[_T]],
    backoff: Backoff,
    errors: type[_E],
    *,
    on_failure: Callable[[_E, float], None],
    refused_too: bool = False,
) -> _T:
    """Call `attempt` until it succeeds, and return its result.

    Raises the error of the last attempt when the budget, which includes the attempts, is spent, and at once if it is an
    `OutsideError` with `retry=False` (unless `refused_too`). A `Retry-After` is respected.

    `on_failure`: called before each retry, with the error and the seconds until then.
    """
    clock = asyncio.get_running_loop().time
    delays = backoff.delays(since=clock())
    while True:
        try:
            return await attempt()
        except errors as error:
            delay_s = _delay_after(error, delays, clock(), refused_too=refused_too)
            if delay_s is None:
                raise
            on_failure(error, delay_s)
        await asyncio.sleep(delay_s)


async def repeat(
    step: Callable[[], Awaitable[float]],
    backoff: Backoff,
    outage: OutageLogger,
    *,
    errors: type[Exception] | tuple[type[Exception], ...] = OutsideError,
    task: object = None,
    **values: object,
) -> NoReturn:
    """Run `step` until canceled, also during outages. `step` returns the seconds until its next run.

    `task` distinguishes the loops that share `outage`; `values`: fields of its log line.
    """
    delays: Delays | None = None
    while True:
        try:
            pause_s = await step()
            outage.worked(task=task)
            delays = None
        except errors as error:
            outage.failed(task=task, **values, error=error_text(error))
            delays = delays or backoff.delays()
            pause_s = delays.after_failure(asyncio.get_running_loop().time()) or backoff.most_s
        await asyncio.sleep(pause_s)


def _delay_after(error: Exception, delays: Delays, now: float, *, refused_too: bool) -> float | None:
    if isinstance(error, OutsideError):
        if not (error.retry or refused_too):
            return None
        if error.retry_after_s:
            return delays.after_refusal(error.retry_after_s, now)
    return delays.after_failure(now)
