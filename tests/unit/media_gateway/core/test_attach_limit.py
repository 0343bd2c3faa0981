"""Takeovers of one call's socket, limited."""

from __future__ import annotations

from media_gateway.core import attach_limit
from media_gateway.core.attach_limit import BURST, PER_S, AttachLimit


def test_a_flood_of_sockets_of_one_call_is_refused_and_others_are_not() -> None:
    limit = AttachLimit()
    taken = [limit.take("a", 10.0 + number / 570) for number in range(570)]
    assert BURST <= sum(taken) <= BURST + PER_S
    assert taken[:BURST] == [True] * BURST
    assert limit.take("b", 11.0)
    assert limit.take("a", 13.0)
    assert limit.take("c", 13.0)


def test_a_call_that_is_redialled_now_and_then_is_never_refused() -> None:
    limit = AttachLimit()
    assert all(limit.take("a", 10.0 + 1.1 * number) for number in range(100))


def test_calls_that_are_over_are_forgotten() -> None:
    limit = AttachLimit()
    for number in range(5 * attach_limit._MOST_CALLS):
        assert limit.take(f"call_{number}", number / 100)
    assert len(limit) <= attach_limit._MOST_CALLS + 1
