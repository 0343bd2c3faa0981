"""Rate limit for requests with a wrong API key, per source and in total.

Valid keys are not limited: a client that floods the API with wrong keys locks out no operator, not even one at the same
address.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto
from typing import Final

PER_SOURCE: Final = 10
IN_TOTAL: Final = 100
WINDOW_S: Final = 60.0
"""A source may send a burst of `PER_SOURCE` wrong keys; its budget refills evenly over this time."""
_SOURCES: Final = 1000
"""Sources tracked; evicted sources still count against the limit in total."""


class Verdict(Enum):
    ANSWERED = auto()
    LIMITED = auto()
    """The first request over a limit since the last answered one."""
    STILL_LIMITED = auto()


class WrongKeys:
    def __init__(self) -> None:
        self._total = _Bucket(IN_TOTAL)
        self._sources: OrderedDict[str, _Bucket] = OrderedDict()
        self._limited = False

    def count(self, source: str, now: float) -> Verdict:
        """Count one request. `now`: monotonic seconds."""
        bucket = self._sources.setdefault(source, _Bucket(PER_SOURCE))
        self._sources.move_to_end(source)
        if len(self._sources) > _SOURCES:
            self._sources.popitem(last=False)
        if bucket.take(now) and self._total.take(now):
            self._limited = False
            return Verdict.ANSWERED
        first, self._limited = not self._limited, True
        return Verdict.LIMITED if first else Verdict.STILL_LIMITED


class _Bucket:
    """Token bucket of `size` tokens that refills within `WINDOW_S`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = float(size)
        self._at = float("-inf")

    def take(self, now: float) -> bool:
        self._left = min(self._left + (now - self._at) * self._size / WINDOW_S, self._size)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
