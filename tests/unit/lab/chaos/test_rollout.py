"""Decisions of Kubernetes for the pods of a Deployment, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.chaos.pacing import Pacing
from lab.chaos.rollout import Create, Delete, Pod, Rollout, Signal, victims

PACING = Pacing(
    max_surge=1, max_unavailable=0, min_ready_s=10, pre_stop_s=5, drain_timeout_s=30, grace_s=40
)  # a pod drains for as long as it may
STARTS_S = 2.0
STEP_S = 0.5


class Cluster:
    """Carries out the orders: a pod is ready `STARTS_S` after its creation, and exits `drain_s` after SIGTERM."""

    def __init__(self, rollout: Rollout, drain_s: float) -> None:
        self.rollout = rollout
        self.drain_s = drain_s
        self.now = 0.0
        self.created = 0
        self.fewest = rollout.replicas
        self.most_draining = 0
        self.most_active = 0
        self.exits: dict[str, float] = {}
        self.signals: list[tuple[str, bool, float]] = []
        self.deleted: list[tuple[str, float]] = []

    def run(self, until: Callable[[], bool], limit_s: float = 1000) -> None:
        while not until():
            assert self.now < limit_s, "the roll-out does not end"
            self.now += STEP_S
            pods = self.rollout.pods
            pods[:] = [pod for pod in pods if self.exits.get(pod.name, limit_s) > self.now]
            for pod in pods:
                if pod.created_at + STARTS_S <= self.now:
                    pod.ready_at = min(pod.ready_at, self.now)
            for order in self.rollout.step(self.now):
                match order:
                    case Create():
                        self.created += 1
                        pods.append(Pod(f"new-{self.created}", self.now, new=True))
                    case Delete(pod):
                        self.deleted.append((pod.name, self.now))
                    case Signal(pod, kill):
                        self.signals.append((pod.name, kill, self.now))
                        self.exits[pod.name] = self.now if kill else self.now + self.drain_s
            working = [pod for pod in pods if pod.active and pod.available(self.now, self.rollout.pacing.min_ready_s)]
            self.fewest = min(self.fewest, len(working))
            self.most_draining = max(self.most_draining, self.rollout.draining)
            self.most_active = max(self.most_active, sum(pod.active for pod in pods))


def old(count: int) -> list[Pod]:
    return [Pod(f"old-{number}", -100 + number, ready_at=-100 + number) for number in range(1, count + 1)]


def rolled_out(pacing: Pacing, replicas: int, drain_s: float) -> Cluster:
    cluster = Cluster(Rollout(pacing, replicas, old(replicas)), drain_s)
    cluster.run(lambda: cluster.rollout.finished(cluster.now))
    return cluster


def test_one_pod_more_than_wanted_and_never_one_available_pod_less() -> None:
    cluster = rolled_out(PACING, 4, drain_s=3)
    assert (cluster.created, cluster.most_active, cluster.fewest) == (4, 5, 4)
    assert [name for name, _ in cluster.deleted] == ["old-4", "old-3", "old-2", "old-1"]
    apart = [after - before for (_, before), (_, after) in zip(cluster.deleted, cluster.deleted[1:], strict=False)]
    assert all(one >= PACING.min_ready_s + STARTS_S for one in apart)


def test_the_controller_does_not_wait_for_pods_that_drain() -> None:
    slow = rolled_out(PACING, 6, drain_s=30)
    assert slow.most_draining == 3  # 35 s of draining, one begins every 12 to 13 s
    at_once = rolled_out(replace(PACING, min_ready_s=0), 6, drain_s=30)
    assert at_once.most_draining == 6
    paced = rolled_out(replace(PACING, min_ready_s=36), 6, drain_s=30)
    assert paced.most_draining == 1


def test_a_pod_gets_sigterm_after_its_hook_and_sigkill_at_the_end_of_the_grace_period() -> None:
    patient = rolled_out(PACING, 1, drain_s=30)
    assert patient.signals == [("old-1", False, patient.deleted[0][1] + PACING.pre_stop_s)]
    assert patient.rollout.killed == 0
    stuck = rolled_out(PACING, 1, drain_s=100)
    began = stuck.deleted[0][1]
    assert stuck.signals == [("old-1", False, began + PACING.pre_stop_s), ("old-1", True, began + PACING.grace_s)]
    assert stuck.rollout.killed == 1


def test_a_new_pod_that_is_never_ready_stops_the_roll_out() -> None:
    rollout = Rollout(PACING, 3, old(3))
    assert rollout.step(0.0) == [Create()]
    rollout.pods.append(Pod("new-1", 0.0, new=True))
    assert [rollout.step(float(now)) for now in range(1, 100)] == [[]] * 99
    assert not rollout.finished(100.0)


def test_a_scale_down_deletes_the_surplus_at_once() -> None:
    pods = old(4)
    for pod, cost in zip(pods, (7, 0, 3, 9), strict=True):
        pod.cost = cost
    rollout = Rollout(PACING, 2, pods, updates=False)
    assert rollout.step(0.0) == [Delete(pods[1]), Delete(pods[2])]
    assert rollout.step(1.0) == []
    assert not rollout.finished(1.0)
    del pods[1:3]
    assert rollout.finished(1.0)


def test_victims_are_unready_then_cheap_then_ready_for_a_short_time_then_new() -> None:
    unready = Pod("unready", 0.0, cost=100)
    cheap = Pod("cheap", 0.0, ready_at=1.0, cost=1)
    fresh = Pod("fresh", 0.0, ready_at=9.0, cost=5)
    young = Pod("young", 1.0, ready_at=2.0, cost=5)
    aged = Pod("aged", 0.0, ready_at=2.0, cost=5)
    assert victims([aged, young, fresh, cheap, unready]) == [unready, cheap, fresh, young, aged]


@pytest.mark.parametrize(("surge", "expected"), [(1, 1), (2, 2)])
def test_the_surge_is_a_number_of_pods(surge: int, expected: int) -> None:
    assert rolled_out(replace(PACING, max_surge=surge), 4, drain_s=3).most_active == 4 + expected
