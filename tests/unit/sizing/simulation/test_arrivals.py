"""Arrivals follow the curve."""

from __future__ import annotations

from random import Random

import pytest

from sizing.simulation.arrivals import Curve, arrivals


def test_a_curve_is_straight_between_its_points() -> None:
    curve = Curve(((10.0, 100.0), (20.0, 200.0)))
    assert [curve.at(second) for second in (-5, 10, 15, 20, 99)] == [100, 100, 150, 200, 200]
    assert curve.scaled(0.5).peak == 100


def test_the_rate_keeps_the_planned_calls() -> None:
    curve = Curve(((0.0, 1000.0), (5000.0, 1000.0), (5000.001, 100.0), (10_000.0, 100.0)))
    times = list(arrivals(curve, 180.0, Random(1), 0.0, 10_000.0))
    early = [at for at in times if at < 5000]
    assert len(early) == pytest.approx(5000 * 1000 / 180, rel=0.03)
    assert len(times) - len(early) == pytest.approx(5000 * 100 / 180, rel=0.05)
    assert times == sorted(times)


def test_a_seed_repeats_the_arrivals() -> None:
    first, second = (list(arrivals(Curve.level(10), 180.0, Random(7), -50.0, 900.0)) for _ in range(2))
    assert first == second
    assert first[0] > -50.0
    assert list(arrivals(Curve.level(0), 180.0, Random(7), 0.0, 900.0)) == []
