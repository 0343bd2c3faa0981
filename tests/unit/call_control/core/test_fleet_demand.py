"""The demand of each service: its calls, those that no live process has yet, and a buffer."""

from __future__ import annotations

import pytest

from bridge_common.store.fleet import Member
from call_control.core.fleet_demand import CONTROL, GATEWAY, KINDS, RELAY, KindDemand, ScaleBuffer, demand_by_kind

BUFFER = ScaleBuffer(calls=10, percent=20)


def process(kind: str, active: int, capacity: int = 100, *, draining: bool = False) -> Member:
    return Member(f"{kind}-{active}", kind, capacity, active, draining, 0)


@pytest.mark.parametrize(("calls", "expected"), [(0, 10), (50, 10), (51, 11), (1000, 200)])
def test_the_buffer_is_the_larger_of_both(calls: int, expected: int) -> None:
    assert BUFFER.of(calls) == expected


def test_without_processes_the_calls_still_need_capacity() -> None:
    demands = demand_by_kind([], 30, BUFFER)
    assert tuple(demands) == KINDS
    assert demands[GATEWAY] == demands[RELAY] == KindDemand(calls=0, ringing=30, buffer=10)
    assert demands[RELAY].demand == 40
    assert demands[CONTROL].demand == 30


def test_ringing_calls_are_those_that_no_process_counts_yet() -> None:
    processes = [process(RELAY, 40), process(RELAY, 25), process(GATEWAY, 60), process(CONTROL, 3, 256)]
    demands = demand_by_kind(processes, 70, BUFFER)
    assert demands[RELAY] == KindDemand(calls=65, ringing=5, buffer=14, capacity=200, live=2)
    assert demands[GATEWAY] == KindDemand(calls=60, ringing=10, buffer=14, capacity=100, live=1)
    assert demands[CONTROL] == KindDemand(calls=70, live=1)


def test_the_demand_does_not_change_when_a_process_dies() -> None:
    before = demand_by_kind([process(RELAY, 40), process(RELAY, 25)], 65, BUFFER)[RELAY]
    after = demand_by_kind([process(RELAY, 25)], 65, BUFFER)[RELAY]
    assert (before.calls, before.ringing) == (65, 0)
    assert (after.calls, after.ringing) == (25, 40)
    assert after.demand == before.demand


def test_a_call_in_two_processes_is_not_subtracted_from_others() -> None:
    """While a draining relay hands a call over, both count it."""
    demand = demand_by_kind([process(RELAY, 5, draining=True), process(RELAY, 8)], 10, BUFFER)[RELAY]
    assert (demand.calls, demand.ringing, demand.capacity, demand.draining) == (13, 0, 100, 1)


def test_calls_without_a_relay_count_for_their_gateway_and_call_control() -> None:
    demands = demand_by_kind([process(GATEWAY, 12)], 10, BUFFER)
    assert (demands[GATEWAY].calls, demands[GATEWAY].ringing) == (12, 0)
    assert demands[CONTROL].demand == 12


def test_processes_of_other_kinds_are_ignored() -> None:
    assert demand_by_kind([process("test", 7)], 0, BUFFER)[RELAY] == KindDemand(calls=0, buffer=10)
