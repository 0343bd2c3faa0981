"""The cost of a process as a line: a fixed part, and a part for each call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor


@dataclass(frozen=True, slots=True)
class Line:
    """CPU (ms per second) or memory (MB) of one process."""

    fixed: float
    each: float

    def at(self, calls: float) -> float:
        return self.fixed + self.each * calls

    def calls_within(self, budget: float) -> int:
        return max(0, floor((budget - self.fixed) / self.each))

    @classmethod
    def through(cls, points: Mapping[int, float]) -> Line:
        """Fit the line with the least relative error, so that all sizes have equal weight. Its fixed part is 0 for a
        single point, or if it would be negative.
        """
        weights = {calls: 1 / value**2 for calls, value in points.items()}
        total = sum(weights.values())
        mean_calls = sum(weight * calls for calls, weight in weights.items()) / total
        mean_value = sum(weight * points[calls] for calls, weight in weights.items()) / total
        spread = sum(weight * (calls - mean_calls) ** 2 for calls, weight in weights.items())
        if spread > 0:
            each = sum(w * (n - mean_calls) * (points[n] - mean_value) for n, w in weights.items()) / spread
            if 0 < each <= mean_value / mean_calls:
                return cls(mean_value - each * mean_calls, each)
        through_zero = sum(weight * calls * points[calls] for calls, weight in weights.items())
        return cls(0.0, through_zero / sum(weight * calls**2 for calls, weight in weights.items()))
