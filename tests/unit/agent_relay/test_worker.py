"""For whom a relay leaves a moment before it claims."""

from __future__ import annotations

import math

from agent_relay.worker import emptiest
from bridge_common.fleet import Member


def relay(active: int, capacity: int = 10, *, draining: bool = False) -> Member:
    return Member("relay", "agent-relay", capacity, active, draining, 0)


def test_the_emptiest_counts() -> None:
    assert emptiest([relay(5), relay(2), relay(9)]) == 0.2
    assert emptiest([relay(5), relay(20, 100)]) == 0.2


def test_who_cannot_take_a_call_is_waited_for_by_nobody() -> None:
    assert emptiest([]) == math.inf
    assert emptiest([relay(10), relay(0, 0), relay(1, draining=True)]) == math.inf
    assert emptiest([relay(10), relay(8)]) == 0.8
