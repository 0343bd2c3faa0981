"""Carrying out the decisions of a roll-out, with processes of a fleet that does not exist."""

from __future__ import annotations

import signal
from typing import cast

import pytest

from lab.chaos.fleet_plan import RELAY, FleetPlan
from lab.chaos.local_fleet import LocalFleet
from lab.chaos.pacing import Pacing
from lab.chaos.pod_faults import carried_out
from lab.chaos.rollout import Pod, Rollout
from lab.stack import StackError

PACING = Pacing(max_surge=1, max_unavailable=0, min_ready_s=0.0, pre_stop_s=0.0, drain_timeout_s=1, grace_s=10)


class FakeProcess:
    """A pod that is ready at once and exits at the first signal, unless it is `deaf` to SIGTERM."""

    def __init__(self, deaf: bool = False) -> None:
        self.popen = self
        self.deaf = deaf
        self.code: int | None = None

    def status(self) -> int:
        return 200

    def poll(self) -> int | None:
        return self.code

    def send_signal(self, number: int) -> None:
        if number == signal.SIGKILL or not self.deaf:
            self.code = -number

    def log_tail(self) -> str:
        return "the end of its log"


class FakeFleet:
    plan = FleetPlan(scale=1.0)

    def __init__(self, *names: str, deaf: bool = False, calls: int = 0) -> None:
        self.there = {name: FakeProcess(deaf) for name in names}
        self.left: list[str] = []
        self.calls = calls

    def process(self, name: str) -> FakeProcess:
        return self.there[name]

    def active_calls(self, name: str) -> int:
        return self.calls

    def add_replica(self, kind: str) -> str:
        name = f"{kind}-{len(self.there) + len(self.left) + 1}"
        self.there[name] = FakeProcess()
        return name

    def leave_ingress(self, name: str) -> None:
        self.left.append(name)

    def remove_replica(self, name: str) -> None:
        assert name in self.left, "it still gets connections"
        del self.there[name]


def rollout(fleet: FakeFleet, replicas: int, pacing: Pacing = PACING, *, updates: bool = True) -> Rollout:
    pods = [Pod(name, number, ready_at=number) for number, name in enumerate(fleet.there)]
    return Rollout(pacing, replicas, pods, updates=updates)


def test_old_pods_are_replaced_and_leave_the_load_balancer_before_they_exit() -> None:
    fleet = FakeFleet("agent-relay-1", "agent-relay-2", calls=3)
    facts = carried_out(cast(LocalFleet, fleet), {RELAY: rollout(fleet, 2)}, limit_s=20)
    assert fleet.left == ["agent-relay-2", "agent-relay-1"]
    assert len(fleet.there) == 2
    assert (facts["killed"], facts["draining_agent-relay"]) == (0.0, 1.0)


def test_a_pod_that_does_not_exit_is_killed_and_counted() -> None:
    fleet = FakeFleet("agent-relay-1", "agent-relay-2", deaf=True)
    impatient = Pacing(1, 0, min_ready_s=0.0, pre_stop_s=0.0, drain_timeout_s=0.1, grace_s=0.2)
    facts = carried_out(cast(LocalFleet, fleet), {RELAY: rollout(fleet, 1, impatient, updates=False)}, limit_s=20)
    assert facts["killed"] == 1.0
    assert list(fleet.there) == ["agent-relay-1"]


def test_a_pod_that_exits_by_itself_fails_the_row() -> None:
    fleet = FakeFleet("agent-relay-1")
    fleet.there["agent-relay-1"].code = 1
    with pytest.raises(StackError, match="agent-relay-1 exited with code 1:\nthe end of its log"):
        carried_out(cast(LocalFleet, fleet), {RELAY: rollout(fleet, 1)})


def test_a_roll_out_that_does_not_end_fails_the_row() -> None:
    fleet = FakeFleet("agent-relay-1", deaf=True)
    with pytest.raises(StackError, match=r"did not finish within 0\.2 s"):
        carried_out(cast(LocalFleet, fleet), {RELAY: rollout(fleet, 1)}, limit_s=0.2)
