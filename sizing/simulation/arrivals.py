"""Arrivals: a Poisson process whose rate follows a curve of concurrent calls."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Curve:
    """Planned concurrent calls over time: straight lines between points (seconds, calls)."""

    points: tuple[tuple[float, float], ...]

    @classmethod
    def level(cls, calls: float) -> Curve:
        return cls(((0.0, calls),))

    def at(self, second: float) -> float:
        after = bisect_right(self.points, (second, float("inf")))
        if after == 0:
            return self.points[0][1]
        if after == len(self.points):
            return self.points[-1][1]
        (start, low), (end, high) = self.points[after - 1], self.points[after]
        return low + (high - low) * (second - start) / (end - start)

    @property
    def peak(self) -> float:
        return max(calls for _, calls in self.points)

    def scaled(self, factor: float) -> Curve:
        return Curve(tuple((second, calls * factor) for second, calls in self.points))


def arrivals(curve: Curve, mean_call_s: float, random: Random, start_s: float, until_s: float) -> Iterator[float]:
    """Yield the times of arrivals. By Little's law the rate is the planned number of calls by their mean duration."""
    highest = curve.peak / mean_call_s
    now = start_s
    while highest > 0:
        now += random.expovariate(highest)
        if now >= until_s:
            return
        if random.random() * curve.peak < curve.at(now):
            yield now
