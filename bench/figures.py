"""Summaries of measured values: delay percentiles, repeated runs, paired comparisons with a confidence interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

from lab.mark_report import percentile

_T_95: Final = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
)
"""Quantiles of Student's t, two-sided 95 %, for 1 to 20 degrees of freedom; above 20 the last one, which is slightly
too wide.
"""


def percentiles(name: str, values_ms: Iterable[float]) -> dict[str, float]:
    """Return delay percentiles of all values, without a filter. The p99 of fewer than a few hundred values is close to
    their maximum.
    """
    ordered = sorted(values_ms)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {f"{name} {label}, ms": percentile(ordered, share) for label, share in shares.items() if ordered}


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % confidence interval, which is unbounded for a single value."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        mean, degrees = fmean(values), len(values) - 1
        if not degrees:
            return cls(mean, -math.inf, math.inf)
        half = _T_95[min(degrees, len(_T_95)) - 1] * stdev(values) / math.sqrt(len(values))
        return cls(mean, mean - half, mean + half)

    def exceeds(self, limit: float) -> str:
        if self.low > limit:
            return "yes"
        return "no" if self.high <= limit else "undecided"

    def text(self) -> str:
        mean, low, high = (f"{value:.3f}" for value in (self.mean, self.low, self.high))
        return f"{mean} ({low} to {high})" if math.isfinite(self.high) else mean


def paired_ratio(values: Sequence[float], bases: Sequence[float]) -> Interval:
    """Return the geometric mean of the ratios. Values and bases were measured in pairs and are above 0."""
    log = Interval.of([math.log(value / base) for value, base in zip(values, bases, strict=True)])
    return Interval(math.exp(log.mean), math.exp(log.low), math.exp(log.high))


def paired_difference(values: Sequence[float], bases: Sequence[float]) -> Interval:
    return Interval.of([value - base for value, base in zip(values, bases, strict=True)])


def spread(values: Sequence[float]) -> str:
    """Format the mean, and the range if the runs differ; empty without values."""
    if not values:
        return ""
    mean = fmean(values)
    digits = 0 if mean >= 100 or all(isinstance(value, int) for value in values) else 1 if mean >= 10 else 2
    texts = [f"{value:.{digits}f}" for value in (mean, min(values), max(values))]
    return texts[0] if texts[1] == texts[2] else "{} ({}–{})".format(*texts)
