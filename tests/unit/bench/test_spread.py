from __future__ import annotations

from bench.spread import Delays, Repeated


def test_percentiles_of_many_values() -> None:
    assert Delays.of(range(1000)) == Delays(1000, 500, 950, 990, 999)
    assert Delays.of([]) == Delays(0, 0, 0, 0, 0)
    assert Delays.of([3.14159]) == Delays(1, 3.14, 3.14, 3.14, 3.14)


def test_repeats_tell_their_median_and_how_far_they_spread() -> None:
    assert Repeated.of([3.0, 1.0, 2.0]).text() == "2.0 (1.0–3.0)"
    assert Repeated.of([2.04, 2.0]).text() == "2.0"
    assert Repeated.of([2.04]).text(2) == "2.04"
