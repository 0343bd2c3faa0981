"""Logs an outage in two lines, at its start and at its end, however many attempts fail in between."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from bridge_common.base.log import fields


class OutageLogger:
    """Logs the outages of one operation. `doing`: the operation, e.g. `renewing leases`. `begun` and `over`: the two
    messages, if not derived from it.

    Several tasks, distinguished by `task`, may share a logger: the outage starts when the first of them fails and ends
    when all of them work again.
    """

    def __init__(
        self,
        log: logging.Logger,
        doing: str = "",
        *,
        begun: str = "",
        over: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._begun = begun or f"{doing} fails"
        self._over = over or f"{doing} works again"
        self._clock = clock
        self._since: float | None = None
        self._failures = 0
        self._failing: set[object] = set()

    @property
    def lasts(self) -> bool:
        return self._since is not None

    @property
    def failures(self) -> int:
        """Number of failed attempts in the current outage."""
        return self._failures

    def failed(self, *, task: object = None, **values: object) -> bool:
        """Count a failed attempt and log the first one of an outage, with the fields `values`. Returns whether this was
        the first.
        """
        self._failures += 1
        self._failing.add(task)
        if self._since is not None:
            return False
        self._since = self._clock()
        self._log.warning(self._begun, extra=fields(**values))
        return True

    def worked(self, *, task: object = None, **values: object) -> None:
        """Count a successful attempt and log the end of an outage, if there was one, with the fields `values`."""
        self._failing.discard(task)
        if self._since is not None and not self._failing:
            lasted_s = round(self._clock() - self._since, 3)
            self._log.warning(self._over, extra=fields(lasted_s=lasted_s, failures=self._failures, **values))
            self._since, self._failures = None, 0
