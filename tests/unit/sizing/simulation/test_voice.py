"""Voice sessions: who gets a connection, who waits, who is given up."""

from __future__ import annotations

from typing import Any

import pytest

from agent_relay.voice.connection_quota import Urgency
from sizing.simulation.entities import Call, Phase


def _use_up(stage: Any, urgency: Urgency) -> None:
    while stage.quota.take(stage.clock.now, urgency).resource is not None:
        pass


def test_a_ringing_call_gets_a_session_on_the_emptiest_relay(stage: Any) -> None:
    stage.connected(stage.relays.pods[0])
    call = Call(0.0, 100.0)
    stage.voice.ring(call)
    stage.clock.run(1.0)
    assert stage.answered == [call]
    assert (call.relay, call.resource, call.phase) == (stage.relays.pods[1], 0, Phase.CONNECTED)


def test_a_ringing_call_waits_five_seconds_for_a_connection(stage: Any) -> None:
    _use_up(stage, Urgency.NEW)
    stage.clock.run(57.0)
    late, early = Call(57.0, 100.0), Call(0.0, 100.0)
    stage.voice.ring(late)
    assert stage.ended == []
    stage.clock.run(63.0)
    assert stage.answered == [late]
    _use_up(stage, Urgency.NEW)
    stage.voice.ring(early)
    assert stage.ended == [early]
    assert stage.counts.diverted == {"voice_lost": 1}


def test_a_call_that_no_relay_has_room_for_is_diverted_after_half_a_second(stage: Any) -> None:
    for pod in stage.relays.pods:
        for _ in range(20):
            stage.connected(pod)
    stage.voice.ring(Call(0.0, 100.0))
    stage.clock.run(0.4)
    assert not stage.counts.diverted
    stage.clock.run(0.5)
    assert stage.counts.diverted == {"no_capacity": 1}


@pytest.mark.parametrize(("left", "continued"), [(4, 4), (1, 1)])
def test_calls_of_a_dead_relay_continue_while_there_are_connections(stage: Any, left: int, continued: int) -> None:
    pod = stage.relays.pods[0]
    calls = [stage.connected(pod) for _ in range(4)]
    for _ in range(20 - left):
        stage.quota.take(0.0, Urgency.RUNNING)
    stage.relays.crash(pod, 600.0)
    stage.voice.relay_died(pod)
    stage.clock.run(30.0)
    assert len(stage.counts.silences_s) == continued
    assert stage.counts.lost.total() == len(calls) - continued, "the next token returns after more than the budget"
    assert all(one.relay is stage.relays.pods[1] for one in calls if one.phase is Phase.CONNECTED)


def test_a_call_keeps_its_session_until_the_next_one_is_ready(stage: Any) -> None:
    old, new = stage.relays.pods
    call, moved = stage.connected(old), list[bool]()
    stage.voice.hand_over(call, moved.append)
    assert (call.relay, call.next_relay, call.silent_since) == (old, new, None)
    stage.clock.run(1.0)
    assert (call.relay, call.next_relay, moved) == (new, None, [True])
    assert call not in old.calls


def test_a_call_returns_if_the_next_owner_gets_no_session(stage: Any) -> None:
    old, new = stage.relays.pods
    call, moved = stage.connected(old), list[bool]()
    _use_up(stage, Urgency.RUNNING)
    stage.voice.hand_over(call, moved.append)
    assert (call.relay, call.next_relay, moved) == (old, None, [False])
    assert call not in new.calls


def test_the_death_of_the_next_owner_does_not_end_the_call(stage: Any) -> None:
    old, new = stage.relays.pods
    call, moved = stage.connected(old), list[bool]()
    stage.voice.hand_over(call, moved.append)
    stage.voice.relay_died(new)
    stage.clock.run(30.0)
    assert (call.relay, call.next_relay, call.phase, moved) == (old, None, Phase.CONNECTED, [False])
