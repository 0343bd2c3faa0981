"""A flood of requests does not flood the log, and the number of suppressed lines is logged."""

from __future__ import annotations

import logging

import pytest

from bridge_common.base.log import fields
from bridge_common.base.log_limit import LineLimit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def line(level: int = logging.WARNING, **values: object) -> logging.LogRecord:
    record = logging.LogRecord("x", level, "x.py", 1, "refused", (), None)
    record.__dict__.update(fields(**values))
    return record


def test_a_burst_passes_and_then_as_many_as_the_rate(clock: Clock) -> None:
    limit = LineLimit(per_s=2, burst=3, clock=clock)
    assert [limit.filter(line()) for _ in range(5)] == [True, True, True, False, False]
    clock.now += 0.5
    assert [limit.filter(line()) for _ in range(2)] == [True, False]
    clock.now += 3600
    assert [limit.filter(line()) for _ in range(4)] == [True, True, True, False]


def test_the_next_line_counts_those_that_were_left_out(clock: Clock) -> None:
    limit = LineLimit(per_s=1, burst=1, clock=clock)
    for _ in range(4):
        limit.filter(line())
    clock.now += 1
    later = line(call_id="c")
    assert limit.filter(later)
    assert later.__dict__["bridge_fields"] == {"call_id": "c", "suppressed": 3}
    clock.now += 1
    again = line()
    assert limit.filter(again)
    assert again.__dict__["bridge_fields"] == {}


def test_errors_always_pass(clock: Clock) -> None:
    limit = LineLimit(per_s=1, burst=1, clock=clock)
    assert [limit.filter(line(level=logging.ERROR)) for _ in range(3)] == [True, True, True]
    assert limit.filter(line())


def test_a_limit_on_errors_limits_nothing_else(clock: Clock) -> None:
    limit = LineLimit(per_s=1, burst=2, errors=True, clock=clock)
    assert [limit.filter(line(level=logging.ERROR)) for _ in range(4)] == [True, True, False, False]
    assert [limit.filter(line()) for _ in range(4)] == [True] * 4
    clock.now += 1
    later = line(level=logging.CRITICAL)
    assert limit.filter(later)
    assert later.__dict__["bridge_fields"] == {"suppressed": 2}
