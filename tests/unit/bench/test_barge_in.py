from __future__ import annotations

import pytest

from bench.barge_in import BargeIns
from bench.core_speed import Slowed

WINDOW = (10.0, 20.0)


def test_each_interruption_is_answered_by_the_next_stop() -> None:
    found = BargeIns()
    found.add([11.0, 13.0], [11.004, 13.006], WINDOW)
    assert found.delays_ms == pytest.approx([4.0, 6.0])
    assert found.missed == 0


def test_a_stop_that_does_not_come_or_comes_for_a_later_one_is_missed() -> None:
    found = BargeIns()
    found.add([11.0, 13.0], [10.9, 13.006], WINDOW)
    found.add([15.0], [], WINDOW)
    assert found.delays_ms == pytest.approx([6.0])
    assert found.missed == 2


def test_what_was_outside_of_the_window_does_not_count() -> None:
    found = BargeIns()
    found.add([9.0, 20.5], [9.1], WINDOW)
    assert (found.delays_ms, found.missed) == ([], 0)


def test_what_began_on_slowed_cores_is_told_apart() -> None:
    found = BargeIns()
    found.add([11.0, 12.99, 14.0], [11.004, 13.04, 14.005], WINDOW, Slowed(((13.0, 13.1),)))
    assert found.delays_ms == pytest.approx([4.0, 5.0])
    assert found.of_all_time_ms == pytest.approx([4.0, 50.0, 5.0])


def test_what_several_turns_found_counts_together() -> None:
    found, others = BargeIns([4.0], [4.0], missed=1), BargeIns([6.0], [6.0, 40.0], missed=2)
    found.add_all(others)
    assert (found.delays_ms, found.of_all_time_ms, found.missed) == ([4.0, 6.0], [4.0, 6.0, 40.0], 3)
