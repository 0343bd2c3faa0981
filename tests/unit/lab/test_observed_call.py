"""Events of a call are printed in order of time, even if they arrive in another order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.observed_call import ObservedCall
from lab.stack import Ports, Stack


def source(now: float, *events: tuple[float, str], state: str = "connected") -> dict[str, Any]:
    return {"now": now, "state": state, "timeline": [{"t": t, "event": event} for t, event in events]}


def shown(call: ObservedCall) -> list[str]:
    return [event["event"] for _, event in call.new_events()]


def call_of(tmp_path: Path) -> ObservedCall:
    return ObservedCall(Stack(Ports(), tmp_path), "1", frozenset())


def test_an_event_that_becomes_known_later_is_shown_in_its_place(tmp_path: Path) -> None:
    call = call_of(tmp_path)
    # The phone is polled first. Its events during the poll of the voice service are returned by the next poll.
    call.phone, call.voice = source(10.0, (9.0, "answered")), source(10.2, (10.15, "speech_started"))
    assert shown(call) == ["answered"]
    # The end of agent speech is detected after a silence, but its event has the time of the last sound.
    call.phone = source(11.2, (9.0, "answered"), (10.1, "caller_says"), (9.9, "agent_ends"))
    call.voice = source(11.4, (10.15, "speech_started"))
    assert shown(call) == ["agent_ends", "caller_says", "speech_started"]


def test_after_the_call_everything_is_shown(tmp_path: Path) -> None:
    call = call_of(tmp_path)
    call.phone = source(10.0, (9.9, "hang_up"), (10.0, "ended"), state="ended")
    assert shown(call) == ["hang_up", "ended"]
    assert shown(call) == []


def test_times_count_from_the_ring(tmp_path: Path) -> None:
    call = call_of(tmp_path)
    assert call.rang_at is None
    call.phone = source(10.0, (7.0, "incoming_call_sent"), (8.0, "incoming_call_sent"))
    assert call.rang_at == 7.0
