"""Which pods get another deletion cost: few, and never so that the fullest pod would be deleted first."""

from __future__ import annotations

import random

from bridge_common.store.fleet import Member
from call_control.core.fleet_demand import CONTROL, GATEWAY, RELAY
from call_control.core.pod_costs import DRAINING, PodCost, outdated, pod_costs

CAPACITY = 100


def pods(**costs: int) -> list[PodCost]:
    return [PodCost(name, cost) for name, cost in costs.items()]


def names(due: list[PodCost]) -> list[str]:
    return [pod.pod for pod in due]


def member(host: str, active: int, kind: str = GATEWAY, *, draining: bool = False) -> Member:
    return Member(f"{kind}-{host}-{active}", kind, CAPACITY, active, draining, 0, "0.1.0", host)


def test_the_pods_of_gateways_and_relays_cost_their_calls() -> None:
    members = [member("a", 3), member("b", 5, draining=True), member("r", 7, RELAY), member("c", 9, CONTROL)]
    assert pod_costs(members) == {GATEWAY: pods(a=3, b=DRAINING), RELAY: pods(r=7)}


def test_a_process_without_a_host_is_ignored_and_a_restarted_container_counts_once() -> None:
    assert pod_costs([member("", 3)]) == {GATEWAY: [], RELAY: []}
    assert pod_costs([member("a", 3), member("a", 0)]) == {GATEWAY: pods(a=3), RELAY: []}


def test_a_new_pod_is_written_and_the_others_are_not() -> None:
    assert names(outdated(pods(a=50, b=52, new=0), {"a": 48, "b": 40})) == ["new"]


def test_while_all_pods_fill_alike_nothing_is_written() -> None:
    written = {"a": 0, "b": 0, "c": 0}
    for calls in range(0, CAPACITY, 5):
        assert outdated(pods(a=calls, b=calls + 3, c=calls + 5), written) == []


def test_pods_with_the_same_cost_and_noticeably_different_calls_are_written() -> None:
    assert names(outdated(pods(a=0, b=30, c=11, d=2), {"a": 0, "b": 0, "c": 0, "d": 0})) == ["b", "c"]


def test_a_pod_that_has_emptied_is_no_longer_kept_before_fuller_ones() -> None:
    due = outdated(pods(a=5, b=40, c=60), {"a": 80, "b": 40, "c": 60})
    assert due == pods(a=5)


def test_a_small_change_of_the_order_is_not_written() -> None:
    assert outdated(pods(a=49, b=50), {"a": 50, "b": 49}) == []
    assert outdated(pods(a=90, b=99), {"a": 99, "b": 90}) == []
    assert names(outdated(pods(a=88, b=99), {"a": 99, "b": 88})) == ["a", "b"]


def test_half_the_calls_of_a_relay_are_noticeable_whatever_its_capacity() -> None:
    """At the autoscaler's target of 40 calls, with a capacity of 200."""
    assert names(outdated(pods(a=38, b=19, c=20), {"a": 0, "b": 0, "c": 0})) == ["a", "c", "b"]


def test_a_draining_pod_is_written_once_and_does_not_disturb_the_others() -> None:
    written = {"a": 80, "b": 80}
    draining = pods(a=DRAINING, b=80)
    assert outdated(draining, written) == pods(a=DRAINING)
    assert outdated(draining, {"a": DRAINING, "b": 80}) == []


def test_the_written_order_is_right_whatever_happens() -> None:
    """A day in minutes: after each one, no pod that would be deleted first is noticeably fuller than another, and few
    costs were written.
    """
    chance = random.Random(7)
    deviation = {f"pod-{number}": 0.0 for number in range(20)}
    written: dict[str, int] = {}
    patches = 0
    for minute in range(24 * 60):
        level = 50 - 45 * abs(minute / 720 - 1)
        for name in deviation:
            deviation[name] = 0.8 * deviation[name] + chance.gauss(0, 2)
        calls = {name: max(0, min(CAPACITY, round(level + more))) for name, more in deviation.items()}
        due = outdated(pods(**calls), written)
        patches += len(due)
        written |= {pod.pod: pod.cost for pod in due}
        for victim in calls:
            if written[victim] == min(written.values()):
                assert calls[victim] <= min(calls.values()) + max(max(calls.values()) * 0.1, 5)
    assert patches < 24 * 60 * 20 * 0.3, "most minutes change nothing for most pods"
