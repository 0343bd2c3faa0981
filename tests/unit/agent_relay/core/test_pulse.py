"""When a silent session is asked for a sign of life, and when it is given up."""

from __future__ import annotations

import pytest

from agent_relay.core.commands import Abandon, Command, Send
from agent_relay.core.pulse import ANSWER_S, PROBE_S, STALL_S, Pulse, answers_probe
from agent_relay.core.voice_live import ErrorEvent, Other


def begun(at: float = 10.0) -> Pulse:
    pulse = Pulse()
    pulse.begin(at)
    return pulse


def refusal(commands: list[Command]) -> ErrorEvent:
    (command,) = commands
    assert isinstance(command, Send)
    return ErrorEvent("", "", "", str(command.event["event_id"]))


def test_silence_to_a_probe_is_death() -> None:
    pulse = begun(10.0)
    assert pulse.next_at(0.0) == 10.0 + PROBE_S
    assert pulse.feel(0.0, 10.0 + PROBE_S - 0.01) == []
    asked = pulse.feel(0.0, 11.0)
    assert answers_probe(refusal(asked))
    assert pulse.feel(0.0, 11.0 + ANSWER_S - 0.01) == []
    (command,) = pulse.feel(0.0, 11.0 + ANSWER_S)
    assert isinstance(command, Abandon)


def test_an_answered_probe_gives_time_but_no_progress() -> None:
    pulse, now, probes = begun(10.0), 10.0, 0
    while now < 10.0 + STALL_S:
        now = pulse.next_at(0.0)
        commands = pulse.feel(0.0, now)
        if isinstance(commands[0], Abandon):
            break
        assert pulse.is_own(refusal(commands), now + 0.05)
        probes += 1
    assert now == 10.0 + STALL_S
    assert probes == pytest.approx(STALL_S / (PROBE_S + 0.05), abs=1)


def test_what_was_asked_for_just_now_is_waited_for() -> None:
    pulse = begun(10.0)
    assert pulse.feel(99.5, 100.0) == []
    assert pulse.next_at(99.5) == 99.5 + PROBE_S


def test_any_event_is_a_sign_of_life_and_a_new_session_begins_anew() -> None:
    pulse = begun(10.0)
    pulse.feel(0.0, 11.0)
    assert not pulse.is_own(Other("rate_limits.updated"), 11.5)
    assert pulse.next_at(0.0) == 11.5 + PROBE_S
    pulse.feel(0.0, 12.5)
    pulse.begin(12.6)
    assert pulse.feel(0.0, 12.5 + ANSWER_S - 0.2) == []


def test_other_refusals_are_not_ours() -> None:
    pulse = begun()
    assert not pulse.is_own(ErrorEvent("", "", "", "truncate-1"), 10.5)
    assert pulse.heard_at == 10.5
    assert not pulse.is_own(ErrorEvent("", "", "", ""), 10.5)
