"""Which requests with a wrong API key get an ordinary answer: so many of each source, and so many in total.

A right key is not limited: whoever floods the API with wrong ones locks nobody out, not even from the same address.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto
from typing import Final

PER_SOURCE: Final = 10
IN_TOTAL: Final = 100
WINDOW_S: Final = 60.0
"""A source may send `PER_SOURCE` wrong keys at once, and as many again, evenly spread, in this time."""
_SOURCES: Final = 1000
"""That are remembered; the limit in total holds for those that were forgotten."""


class Verdict(Enum):
    ANSWERED = auto()
    LIMITED = auto()
    """The first one over a limit since one was answered."""
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
    """Holds `size` tokens, and is full again after `WINDOW_S`."""

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
