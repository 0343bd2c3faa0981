"""Many values in few words: percentiles of delays, and the median of repeats with its spread."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from lab.mark_report import percentile


@dataclass(frozen=True, slots=True)
class Delays:
    """Milliseconds. `count` says how much a p99 is worth: of fewer than a few hundred it is little more than the
    maximum."""

    count: int
    p50: float
    p95: float
    p99: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Delays:
        kept = sorted(values)
        p50, p95, p99, most = (round(percentile(kept, share), 2) for share in (0.5, 0.95, 0.99, 1.0))
        return cls(len(kept), p50, p95, p99, most)


@dataclass(frozen=True, slots=True)
class Repeated:
    """One figure of several runs."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Repeated:
        kept = sorted(values)
        return cls(median(kept), kept[0], kept[-1])

    def text(self, digits: int = 1) -> str:
        """The median, and the range if there is one to tell."""
        middle, least, most = (f"{value:.{digits}f}" for value in (self.middle, self.least, self.most))
        return middle if least == most else f"{middle} ({least}–{most})"
