"""The agent's turns. `test_turns` and `test_owed_turns` test whole conversations."""

from __future__ import annotations

import pytest

from agent_relay.core.dialog.agent_turns import AUDIBLE_MS, CUT_SHORT_MS
from agent_relay.core.dialog.conversation_commands import Abandon, Command, Overdue, Send, WallClock
from agent_relay.core.dialog.history import History
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.turns import Turns
from agent_relay.core.dialog.voice_session import VoiceSession
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.session_setup import SessionSetup
from bridge_common.wire.audio import VOICE_RATE_HZ, bytes_of_ms
from tests.unit.support.talk import notices, profile_for, sent


def _turns() -> Turns:
    """Return turns in which the caller has waited for an answer since second 1."""
    profile, clock = profile_for(tools=frozenset({"look"})), WallClock()
    session = VoiceSession(SessionSetup(profile.session, profile.essential_session), clock)
    session.configured(1.0)
    turns = Turns(profile, History(), Prompts(profile, clock, session), clock)
    turns.of_caller.started(vl.SpeechStarted("u1"), 0.5)
    turns.of_caller.stopped("u1", 1.0)
    return turns


def _ends(spoken_ms: int, status: str) -> list[Command]:
    turns = _turns()
    turns.of_agent.created("r1", 1.1)
    turns.of_agent.delta(vl.AudioDelta("r1", "a1", bytes(bytes_of_ms(spoken_ms, VOICE_RATE_HZ))), 1.2)
    return [c for c in turns.of_agent.done(vl.ResponseDone("r1", status, ""), 1.3) if isinstance(c, Overdue)]


def test_the_caller_waits_from_their_last_word_to_the_first_audio() -> None:
    turns = _turns()
    assert turns.of_agent.waits_since == 1.0
    turns.of_agent.created("r1", 2.0)
    assert turns.of_agent.waits_since == 1.0
    turns.of_agent.delta(vl.AudioDelta("r1", "a1", bytes(4800)), 3.0)
    turns.of_agent.done(vl.ResponseDone("r1", "completed", ""), 3.0)
    assert turns.of_agent.waits_since is None


def test_too_little_audio_is_no_answer() -> None:
    assert _ends(AUDIBLE_MS, "completed") == []
    assert [missed.why for missed in _ends(AUDIBLE_MS - 1, "completed") if isinstance(missed, Overdue)] == ["no audio"]
    assert _ends(CUT_SHORT_MS, "incomplete") == []
    assert len(_ends(CUT_SHORT_MS - 1, "incomplete")) == 1


def test_audio_begins_a_response_and_the_late_report_of_it_nothing() -> None:
    turns = _turns()
    turns.of_agent.delta(vl.AudioDelta("r1", "a1", bytes(9600)), 1.2)
    assert turns.of_agent.created("r1", 1.3) == []
    turns.of_agent.done(vl.ResponseDone("r1", "completed", ""), 1.4)
    assert turns.of_agent.done(vl.ResponseDone("r1", "failed", ""), 1.5) == [], "reported twice"


def test_a_response_to_our_request_is_not_heard_while_the_caller_speaks() -> None:
    turns = _turns()
    turns.of_agent.function_call(vl.FunctionCall("r1", "i1", "c1", "look", "{}"), 1.1)
    turns.of_agent.done(vl.ResponseDone("r1", "completed", ""), 1.2)
    turns.tools.returned("c1", "found", 1.3)
    assert [event["type"] for event in sent(turns.advance(1.3))] == ["response.create"]
    turns.of_caller.started(vl.SpeechStarted("u2"), 1.4)
    assert turns.of_agent.created("r2", 1.5) == [Send(vl.cancel_response("r2"))]


def test_a_function_is_run_once_and_its_unfinished_response_does_not_end_by_itself() -> None:
    turns = _turns()
    call = vl.FunctionCall("r1", "i1", "c1", "look", "{}")
    assert len(turns.of_agent.function_call(call, 1.1)) == 2
    assert turns.of_agent.function_call(call, 1.2) == []
    before = turns.of_agent.over_at
    turns.tools.returned("c1", "found", 2.0)
    over_at = turns.of_agent.over_at
    assert (before, over_at) == (None, 1.1 + profile_for().limits.start_s), "not while the function runs"
    assert over_at is not None
    turns.of_agent.tick(over_at)
    assert turns.of_agent.over_at is None, "the end was not reported, and the next response may be requested"
    assert [event["type"] for event in sent(turns.advance(over_at))] == ["response.create"]


@pytest.mark.parametrize(
    ("status", "reason", "spoken_ms", "failed", "noted"),
    [
        ("completed", "", 2000, "", []),
        ("completed", "", 0, "no audio", []),
        ("incomplete", "max_output_tokens", 2000, "", ["response_failed"]),
        ("incomplete", "content_filter", 0, "content_filter", ["response_failed"]),
        ("failed", "server_error", 2000, "server_error", ["response_failed"]),
        ("failed", "", 0, "failed", ["response_failed"]),
        ("cancelled", "turn_detected", 2000, "", []),
        ("cancelled", "client_cancelled", 0, "client_cancelled", []),
    ],
)
def test_a_response_fails_if_the_caller_cannot_hear_it(
    status: str, reason: str, spoken_ms: int, failed: str, noted: list[str]
) -> None:
    turns = _turns()
    turns.of_agent.created("r1", 1.1)
    turns.of_agent.delta(vl.AudioDelta("r1", "a1", bytes(bytes_of_ms(spoken_ms, VOICE_RATE_HZ))), 1.2)
    commands = turns.of_agent.done(vl.ResponseDone("r1", status, reason), 2.0)
    assert [c.why for c in commands if isinstance(c, Overdue)] == ([failed] if failed else [])
    assert [what for what in notices(commands) if what != "speech_overdue"] == noted


def test_a_silent_response_that_the_caller_interrupts_is_no_failure() -> None:
    turns = _turns()
    turns.of_agent.created("r1", 1.1)
    turns.caller.started("u2", 1.5)
    assert turns.of_agent.done(vl.ResponseDone("r1", "cancelled", "turn_detected"), 2.0) == []


@pytest.mark.parametrize(("response_id", "spoken"), [("r1", True), ("r0", False)])
def test_text_of_the_same_response_is_to_be_spoken(response_id: str, spoken: bool) -> None:
    turns = _turns()
    turns.of_agent.created("r1", 1.1)
    turns.of_agent.wrote(response_id, " We open at nine.\n")
    turns.of_agent.done(vl.ResponseDone("r1", "completed", ""), 2.0)
    assert ("We open at nine." in str(sent(turns.advance(2.0)))) is spoken


def test_a_stuck_response_is_cancelled_unless_the_session_is_abandoned() -> None:
    turns, patience_s = _turns(), profile_for().limits.patience_s
    turns.of_agent.created("r1", 1.1)
    abandoned = turns.tick(1.1 + patience_s)
    assert isinstance(abandoned[-1], Abandon)
    assert not turns.speech.dropped("r1")
    turns.of_agent.done(vl.ResponseDone("r1", "cancelled", "turn_detected"), 62.0)
    turns.advance(62.0)
    turns.of_agent.created("r2", 62.1)
    kept = turns.tick(62.0 + patience_s)
    assert sent(kept) == [vl.cancel_response("r2")]
    assert not [c for c in kept if isinstance(c, Abandon)]
    assert turns.speech.dropped("r2")
