"""A rate limit for log lines that a peer can cause, so that a flood of requests does not flood the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from bridge_common.base.log import fields


class LineLimit(logging.Filter):
    """Log filter that passes `burst` lines in a row and `per_s` each second; the next line has the number of suppressed
    lines.

    `errors`: limits only errors; by default errors always pass.

    A filter of a logger does not apply to its child loggers.
    """

    def __init__(
        self, per_s: float, burst: int, *, errors: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._clock = clock
        self._per_s = per_s
        self._burst = burst
        self._errors = errors
        self._left = float(burst)
        self._seen_at = float("-inf")
        self._suppressed = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if (record.levelno >= logging.ERROR) is not self._errors:
            return True
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._seen_at) * self._per_s)
        self._seen_at = now
        if self._left < 1:
            self._suppressed += 1
            return False
        self._left -= 1
        if self._suppressed:
            for name, values in fields(suppressed=self._suppressed).items():
                assert isinstance(values, dict)
                setattr(record, name, {**getattr(record, name, {}), **values})
            self._suppressed = 0
        return True
