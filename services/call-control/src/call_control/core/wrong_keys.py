"""Rate limit for requests with a wrong API key, per source and in total.

Valid keys are not limited: a client that floods the API with wrong keys locks out no operator, even at the same
address.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from call_control.core.token_bucket import TokenBucket, TokenBuckets

PER_SOURCE: Final = 10
IN_TOTAL: Final = 100
WINDOW_S: Final = 60.0
"""Time in which the budget of a source (`PER_SOURCE` wrong keys, also in a burst) refills evenly."""
_SOURCES: Final = 1000
"""Maximum tracked sources; requests of evicted sources still count against the total limit."""


class Verdict(Enum):
    ANSWERED = auto()
    LIMITED = auto()
    """The first request over a limit since the last answered one."""
    STILL_LIMITED = auto()


class WrongKeys:
    def __init__(self) -> None:
        self._total = TokenBucket(IN_TOTAL, WINDOW_S)
        self._sources = TokenBuckets(PER_SOURCE, WINDOW_S, _SOURCES)
        self._limited = False

    def count(self, source: str, now: float) -> Verdict:
        """Count one request with a wrong key. `now`: monotonic seconds."""
        if self._sources.take(source, now) and self._total.take(now):
            self._limited = False
            return Verdict.ANSWERED
        first, self._limited = not self._limited, True
        return Verdict.LIMITED if first else Verdict.STILL_LIMITED
