from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_relay.core.backoff import Backoff

BACKOFF = Backoff(first_s=0.1, factor=2.0, most_s=4.0, budget_s=20.0)


def test_waits_grow_to_the_most() -> None:
    waits = BACKOFF.waits(lambda: 1.0)
    assert [waits.after_failure(0.0) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 4.0, 4.0]


def test_jitter_never_halves_a_wait_twice() -> None:
    waits = BACKOFF.waits(lambda: 0.0)
    assert [waits.after_failure(0.0) for _ in range(3)] == [0.05, 0.1, 0.2]


def test_the_budget_counts_from_the_first_failure() -> None:
    waits = BACKOFF.waits(lambda: 1.0)
    assert waits.after_failure(100.0) == 0.1
    assert waits.after_failure(119.0) == 0.2
    assert waits.after_failure(120.0) is None


@given(st.integers(0, 2**32), st.floats(0, 5))
def test_any_series_of_failures_ends_within_the_budget(seed: int, each_takes_s: float) -> None:
    waits = BACKOFF.waits(random.Random(seed).random)
    now = 0.0
    for _ in range(1000):
        now += each_takes_s
        wait = waits.after_failure(now)
        if wait is None:
            break
        assert 0 < wait <= 4.0
        now += wait
    assert now <= BACKOFF.budget_s + 2 * each_takes_s


def test_who_knows_when_waits_until_then_or_gives_up_at_once() -> None:
    waits = BACKOFF.waits(lambda: 0.5)
    assert waits.told(7.0, 100.0) == 7.05
    assert waits.after_failure(107.05) == pytest.approx(0.075), "it was no failed attempt"
    assert waits.told(15.0, 108.0) is None, "the budget would be over"
