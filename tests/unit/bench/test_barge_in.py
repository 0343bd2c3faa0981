from __future__ import annotations

import pytest

from bench.barge_in import stop_delays_ms

WINDOW = (10.0, 20.0)


def test_each_interruption_is_answered_by_the_next_stop() -> None:
    assert stop_delays_ms([11.0, 13.0], [11.004, 13.006], WINDOW) == pytest.approx([4.0, 6.0])


def test_a_stop_that_does_not_come_or_comes_for_a_later_interruption_is_missed() -> None:
    missed, answered = stop_delays_ms([11.0, 13.0], [10.9, 13.006], WINDOW)
    assert missed is None
    assert answered == pytest.approx(6.0)
    assert stop_delays_ms([15.0], [], WINDOW) == [None]


def test_interruptions_outside_of_the_window_do_not_count() -> None:
    assert stop_delays_ms([9.0, 20.5], [9.1], WINDOW) == []
