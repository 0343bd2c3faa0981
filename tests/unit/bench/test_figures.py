from __future__ import annotations

import math

import pytest

from bench.figures import Interval, paired_difference, paired_ratio, percentiles, spread


def test_percentiles_of_many_values() -> None:
    assert percentiles("up", range(1000)) == {"up p50, ms": 500, "up p95, ms": 950, "up p99, ms": 990}
    assert percentiles("up", [3.5]) == {"up p50, ms": 3.5, "up p95, ms": 3.5, "up p99, ms": 3.5}
    assert percentiles("up", []) == {}, "nothing was measured"


def test_repeated_values_show_their_mean_and_range() -> None:
    assert spread([3.0, 1.0, 2.0]) == "2.00 (1.00–3.00)"
    assert spread([2.004, 2.0]) == "2.00"
    assert spread([30.0, 10.0]) == "20.0 (10.0–30.0)"
    assert spread([300.0, 100.0]) == "200 (100–300)"
    assert spread([2, 3, 4]) == "3 (2–4)"
    assert spread([]) == ""


def test_the_interval_is_that_of_students_t() -> None:
    """Reference: scipy.stats.t.interval(0.95, 4, loc=3, scale=sem([1, 2, 3, 4, 5]))."""
    interval = Interval.of([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (interval.mean, interval.low, interval.high) == pytest.approx((3.0, 1.0367, 4.9633), abs=0.001)
    wide = Interval.of([float(n % 2) for n in range(40)])
    assert wide.high - wide.mean == pytest.approx(0.1620, abs=0.01)


def test_one_value_decides_nothing() -> None:
    one = Interval.of([2.0])
    assert (one.mean, one.low, one.high) == (2.0, -math.inf, math.inf)
    assert one.exceeds(1.0) == one.exceeds(3.0) == "undecided"
    assert one.text() == "2.000"
    assert paired_ratio([2.0], [1.0]).exceeds(1.0) == "undecided"


def test_a_limit_is_exceeded_only_by_the_whole_interval() -> None:
    interval = Interval(1.05, 1.02, 1.08)
    assert [interval.exceeds(limit) for limit in (1.01, 1.03, 1.08)] == ["yes", "undecided", "no"]
    assert interval.text() == "1.050 (1.020 to 1.080)"


def test_paired_ratios_are_independent_of_the_level_of_each_pair() -> None:
    ratio = paired_ratio([1.1, 22.0, 330.0], [1.0, 20.0, 300.0])
    assert (ratio.mean, ratio.low, ratio.high) == pytest.approx((1.1, 1.1, 1.1))
    assert paired_ratio([2.0, 1.0], [1.0, 2.0]).mean == pytest.approx(1.0), "geometric mean"


def test_paired_differences() -> None:
    difference = paired_difference([5.0, 9.0], [3.0, 7.0])
    assert (difference.mean, difference.low, difference.high) == (2.0, 2.0, 2.0)


def test_values_without_their_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([1.0, 2.0], [1.0])
