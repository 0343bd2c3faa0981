"""Events of a call are printed in order of time, even if they arrive in another order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import observed_call
from lab.observed_call import ObservedCall
from lab.stack import Ports, Stack
from lab.stack_process import Process


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


def test_all_voice_sessions_of_a_call_are_observed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call moves to another session when one stalls; the events of the first must not be lost or repeated."""
    first = source(5.0, (1.0, "session_created")) | {"id": "a", "said": [{"item_id": "i1", "text": "Hello."}]}
    second = source(5.0, (3.0, "session_created")) | {"id": "b", "said": [{"item_id": "i2", "text": "Bye."}]}
    answers: dict[str, Any] = {"sessions": [{"id": "before"}, {"id": "a"}]}
    answers |= {one["id"]: one | {"truncations": []} for one in (first, second)}
    monkeypatch.setattr(
        observed_call, "call_json", lambda _, url: answers.get(url.rpartition("/")[2], source(9.0, state="ended"))
    )
    ports = [Process(name, 1, None) for name in ("acs", "voice-live")]
    call = ObservedCall(Stack(Ports(), tmp_path, processes=ports), "1", frozenset({"before"}))
    call.poll()
    assert len(call.new_events()) == 1
    answers["sessions"] += [{"id": "b"}]
    answers["a"]["timeline"] = [*answers["a"]["timeline"], {"t": 4.0, "event": "closed"}]
    call.poll()
    assert [event["t"] for _, event in call.new_events()] == [3.0, 4.0]
    assert call.times("voice", "session_created") == [1.0, 3.0]
    assert [(row["session"], row["text"]) for row in call.voice["said"]] == [("a", "Hello."), ("b", "Bye.")]


def test_times_count_from_the_ring(tmp_path: Path) -> None:
    call = call_of(tmp_path)
    assert call.rang_at is None
    call.phone = source(10.0, (7.0, "incoming_call_sent"), (8.0, "incoming_call_sent"))
    assert call.rang_at == 7.0
