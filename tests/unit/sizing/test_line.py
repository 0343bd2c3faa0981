"""Lines of cost per process."""

from __future__ import annotations

import pytest

from sizing.line import Line


def test_a_line_through_points_of_a_line_is_that_line() -> None:
    line = Line.through({20: 90.0, 50: 180.0, 200: 630.0})
    assert line.fixed == pytest.approx(30.0)
    assert line.each == pytest.approx(3.0)


def test_a_line_is_near_to_every_size_alike() -> None:
    line = Line.through({20: 80.0, 200: 600.0, 100: 340.0})
    assert abs(line.at(20) / 80.0 - 1) < 0.05


@pytest.mark.parametrize("points", [{20: 60.0}, {20: 60.0, 200: 700.0}])
def test_no_line_begins_below_nothing(points: dict[int, float]) -> None:
    line = Line.through(points)
    assert line.fixed == 0.0
    assert 3.0 <= line.each <= 3.5


def test_calls_within_a_budget() -> None:
    assert Line(30.0, 3.0).calls_within(600.0) == 190
    assert Line(700.0, 3.0).calls_within(600.0) == 0
