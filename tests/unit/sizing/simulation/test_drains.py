"""Drains: the pace of hand-overs, and the end of the drain time."""

from __future__ import annotations

from typing import Any

import pytest

from agent_relay.voice.connection_quota import Urgency
from sizing.simulation.drains import DrainTimes, GatewayDrains, RelayDrains
from sizing.simulation.entities import State

TIMES = DrainTimes(pre_stop_s=5.0, timeout_s=100.0)


@pytest.fixture
def drains(stage: Any) -> RelayDrains:
    return RelayDrains(stage.clock, stage.relays, stage.quota, stage.voice, TIMES, stage.counts)


def _terminate(stage: Any, drains: Any, deployment: Any) -> Any:
    pod = deployment.pods[0]
    pod.state = State.TERMINATING
    drains.begin(pod)
    return pod


def test_calls_are_handed_over_while_half_of_the_tokens_are_free(stage: Any, drains: RelayDrains) -> None:
    calls = [stage.connected(stage.relays.pods[0]) for _ in range(4)]
    pod = _terminate(stage, drains, stage.relays)
    stage.clock.run(8.0)
    assert all(call.relay is not pod for call in calls)
    assert (pod.state, stage.counts.handed_over) == (State.GONE, 4)


def test_hand_overs_leave_half_of_the_tokens_to_others(stage: Any, drains: RelayDrains) -> None:
    """8 calls of one resource with 10 tokens: 5 at once, the others in the second half of the drain time."""
    for _ in range(8):
        stage.connected(stage.relays.pods[0])
    _terminate(stage, drains, stage.relays)
    stage.clock.run(54.0)
    assert stage.counts.handed_over == 5
    stage.clock.run(60.0)
    assert stage.counts.handed_over == 8


def test_calls_that_are_left_at_the_end_are_released(stage: Any, drains: RelayDrains) -> None:
    for _ in range(20):
        stage.connected(stage.relays.pods[1])
    call = stage.connected(stage.relays.pods[0])
    pod = _terminate(stage, drains, stage.relays)
    stage.clock.run(104.0)
    assert call.relay is pod, "no other relay has room"
    stage.clock.run(106.0)
    assert (stage.counts.released, pod.state) == (1, State.GONE)


def test_a_relay_without_tokens_keeps_its_calls(stage: Any, drains: RelayDrains) -> None:
    stage.connected(stage.relays.pods[0])
    while stage.quota.take(0.0, Urgency.RUNNING).resource is not None:
        pass
    _terminate(stage, drains, stage.relays)
    stage.clock.run(50.0)
    assert stage.counts.handed_over == 0
    stage.clock.run(70.0)
    assert stage.counts.handed_over == 1


def test_a_gateway_waits_for_its_calls_and_closes_the_rest(stage: Any) -> None:
    call = stage.connected(stage.relays.pods[0])
    stage.media.open(call)
    drains = GatewayDrains(stage.clock, stage.gateways, stage.media, TIMES)
    pod = _terminate(stage, drains, stage.gateways)
    stage.clock.run(100.0)
    assert call.gateway is pod
    stage.clock.run(106.0)
    assert call.gateway is stage.gateways.pods[0] is not pod
    assert (stage.counts.moved_sockets, pod.state) == (1, State.GONE)
