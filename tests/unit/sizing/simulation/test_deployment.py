"""The Deployment controller and the ReplicaSet's choice of victims."""

from __future__ import annotations

import pytest

from sizing.simulation.clock import Clock
from sizing.simulation.deployment import Deployment, PodSpec
from sizing.simulation.entities import Call, Pod, State
from sizing.simulation.nodes import Nodes, NodeSpec

DRAIN_S = 50.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def terminated() -> list[tuple[float, Pod]]:
    return []


@pytest.fixture
def deployment(clock: Clock, terminated: list[tuple[float, Pod]]) -> Deployment:
    """Return a Deployment whose pods drain for 50 s, are ready after 10 s and available 60 s later."""

    def drain(pod: Pod) -> None:
        terminated.append((clock.now, pod))
        clock.after(DRAIN_S, lambda: made.ended(pod))

    spec = PodSpec("relay", 200, capacity=4, start_s=10.0, min_ready_s=60.0)
    made = Deployment(clock, Nodes(clock, NodeSpec(3200, 3, 180)), spec, drain)
    return made


def _fill(pod: Pod, calls: int) -> None:
    pod.calls |= {Call(0.0, 100.0): None for _ in range(calls)}


def test_new_pods_get_ready(clock: Clock, deployment: Deployment) -> None:
    deployment.start(2)
    deployment.scale(3)
    assert len(deployment.ready()) == 2
    clock.run(10.0)
    assert len(deployment.ready()) == 3


def test_the_emptiest_pod_is_removed(deployment: Deployment, terminated: list[tuple[float, Pod]]) -> None:
    deployment.start(3)
    for pod, calls in zip(deployment.pods, (3, 1, 4), strict=True):
        _fill(pod, calls)
    middle = deployment.pods[1]
    deployment.scale(2)
    assert [pod for _, pod in terminated] == [middle]


def test_a_pod_that_is_not_ready_is_removed_first(deployment: Deployment, terminated: list[tuple[float, Pod]]) -> None:
    deployment.start(2)
    deployment.scale(3)
    deployment.scale(2)
    assert terminated == []
    assert len(deployment.pods) == 2


def test_a_roll_out_drains_one_pod_at_a_time(
    clock: Clock, deployment: Deployment, terminated: list[tuple[float, Pod]]
) -> None:
    deployment.start(4)
    old = list(deployment.pods)
    deployment.roll_out()
    clock.run(1000.0)
    assert [at for at, _ in terminated] == [70.0, 140.0, 210.0, 280.0], "start, then minReadySeconds"
    assert {pod for _, pod in terminated} == set(old)
    assert (deployment.most.draining, len(deployment.ready())) == (1, 4)
    assert deployment.rolled_out_s == [280.0]


def test_without_pacing_all_old_pods_drain_together(clock: Clock, terminated: list[tuple[float, Pod]]) -> None:
    spec = PodSpec("relay", 200, capacity=4, start_s=10.0, min_ready_s=0.0, max_surge=12)
    unpaced = Deployment(clock, Nodes(clock, NodeSpec(9600, 3, 180)), spec, lambda pod: terminated.append((0, pod)))
    unpaced.start(12)
    unpaced.roll_out()
    clock.run(20.0)
    assert unpaced.most.draining == 12


def test_the_emptiest_pod_with_room_gets_the_next_call(deployment: Deployment) -> None:
    deployment.start(3)
    for pod, calls in zip(deployment.pods, (3, 1, 4), strict=True):
        _fill(pod, calls)
    assert deployment.emptiest() is deployment.pods[1]
    assert deployment.emptiest(but=deployment.pods[1]) is deployment.pods[0]
    assert deployment.room(but=deployment.pods[1]) == 1
    _fill(deployment.pods[0], 1)
    _fill(deployment.pods[1], 3)
    assert deployment.emptiest() is None


def test_a_crashed_pod_is_restarted_on_its_node(clock: Clock, deployment: Deployment) -> None:
    deployment.start(2)
    pod = deployment.pods[0]
    deployment.crash(pod, 10.0)
    assert pod not in deployment.ready()
    clock.run(10.0)
    assert pod in deployment.ready()
    assert len(deployment.pods) == 2


def test_pods_of_a_dead_node_are_replaced_after_their_eviction(clock: Clock, deployment: Deployment) -> None:
    deployment.start(2)
    pod = deployment.pods[0]
    deployment.lose(pod, 340.0)
    deployment.reconcile()
    clock.run(339.0)
    assert (pod.state, len(deployment.ready())) == (State.LOST, 1)
    clock.run(351.0)
    assert len(deployment.ready()) == 2
    assert deployment.seconds_until_now() == pytest.approx(2 * 351)
