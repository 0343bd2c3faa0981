"""Media sockets: where they are opened, and when a call is given up."""

from __future__ import annotations

from typing import Any


def test_sockets_of_a_dead_gateway_are_opened_at_another(stage: Any) -> None:
    calls = [stage.connected(stage.relays.pods[0]) for _ in range(4)]
    for call in calls:
        stage.media.open(call)
    first, second = stage.gateways.pods
    assert (len(first.calls), len(second.calls)) == (2, 2)
    stage.gateways.crash(first, 600.0)
    stage.media.closed(first)
    stage.clock.run(1.0)
    assert all(call.gateway is second for call in calls)
    assert stage.counts.moved_sockets == 2


def test_a_call_without_a_socket_is_given_up_after_the_patience(stage: Any) -> None:
    calls = [stage.connected(stage.relays.pods[0]) for _ in range(9)]
    for call in calls:
        stage.media.open(call)
    stage.clock.run(19.0)
    assert not stage.counts.lost
    stage.clock.run(22.0)
    assert stage.counts.lost == {"media_lost": 1}
    assert stage.ended == [calls[-1]]
