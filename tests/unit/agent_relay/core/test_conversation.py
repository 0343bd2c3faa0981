from __future__ import annotations

import dataclasses

import pytest

from agent_relay.core import voice_live as vl
from agent_relay.core.agent_profile import Greeting
from agent_relay.core.commands import Abandon, Append, MarkGreeted, Ready, Record, RunTool, Send
from agent_relay.core.connection import Mode
from agent_relay.core.conversation import OPENING_S, Phase
from agent_relay.core.pulse import PROBE_S
from agent_relay.core.responses import ANSWER_S
from agent_relay.core.tool_calls import NOT_AVAILABLE
from bridge_common.entries import Audio, Clear, Dtmf, MediaAttached, Played, Playing, Turn
from talk import GREETING, SECOND, Talk, appended, notices, plan_for, sent, types, updated


# -- opening
def test_a_session_is_configured_before_it_is_ready() -> None:
    talk = Talk(plan_for())
    talk.core.connected(1.0)
    (update,) = talk.hear(vl.SessionCreated("sess_1", "", 0))
    assert isinstance(update, Send)
    assert update.event["type"] == "session.update"
    assert talk.hear(vl.SpeechStarted("u1")) == [], "nothing counts before session.updated"
    assert talk.hear(updated("conv_1")) == [Ready("sess_1", "conv_1")]
    assert talk.core.phase is Phase.READY


def test_a_refused_setting_is_left_out_and_noted() -> None:
    talk = Talk(plan_for())
    talk.core.connected(1.0)
    talk.hear(vl.SessionCreated("sess_1", "", 0))
    commands = talk.hear(vl.ErrorEvent("invalid_voice_type", "no such voice", "session.voice", "update-1"))
    assert notices(commands) == ["setting_refused"]
    (update,) = sent(commands)
    assert isinstance(update["session"], dict)
    assert "voice" not in update["session"]


def test_a_session_that_refuses_everything_is_abandoned_for_good() -> None:
    talk = Talk(plan_for())
    talk.core.connected(1.0)
    talk.hear(vl.SessionCreated("sess_1", "", 0))
    refusal = vl.ErrorEvent("invalid_session_update_message", "no", "", "update-1")
    commands = talk.hear(refusal, refusal, refusal)
    assert isinstance(commands[-1], Abandon)
    assert not commands[-1].retry


def test_the_words_against_an_agent_are_kept_as_the_reason() -> None:
    talk = Talk(plan_for(Mode.AGENT))
    talk.core.connected(1.0)
    assert talk.hear(vl.ErrorEvent("agent_initialization_failed", "no such agent", "", "")) == []
    assert talk.core.last_error == "agent_initialization_failed: no such agent"


def test_a_session_that_is_never_ready_is_abandoned() -> None:
    talk = Talk(plan_for())
    talk.core.connected(1.0)
    assert talk.core.next_at() == 1.0 + OPENING_S
    assert talk.core.tick(1.0 + OPENING_S - 0.1) == []
    assert isinstance(talk.core.tick(1.0 + OPENING_S)[-1], Abandon)


# -- greeting
def test_the_greeting_waits_for_the_session_the_media_and_the_first_audio() -> None:
    talk = Talk(plan_for(greeting=GREETING))
    assert MarkGreeted() not in talk.open()
    assert talk.core.from_caller(MediaAttached(16000), 2.0) == []
    assert talk.core.caller_audio(2.1) == [MarkGreeted()]
    commands = talk.core.greeting_granted(True, 2.2)
    assert notices(commands) == ["greeting"]
    assert sent(commands) == [{**vl.create_spoken("Welcome!"), "event_id": "greeting-1"}]
    assert talk.core.caller_audio(2.3) == []


def test_the_greeting_does_not_wait_for_audio_for_ever() -> None:
    talk = Talk(plan_for(greeting=GREETING))
    talk.core.from_caller(MediaAttached(16000), 0.75)
    talk.open()
    assert talk.core.next_at() == 1.25
    assert talk.core.tick(1.0) == []
    assert talk.core.tick(1.25) == [MarkGreeted()]


def test_media_before_the_session() -> None:
    talk = Talk(plan_for(greeting=GREETING))
    talk.core.caller_audio(0.5)
    assert talk.open()[-1] == MarkGreeted()


def test_a_call_that_was_greeted_is_not_greeted_again() -> None:
    talk = Talk(plan_for(greeting=GREETING), greeted=True, taken_over=True)
    talk.core.caller_audio(0.5)
    assert MarkGreeted() not in talk.open()
    refused = Talk(plan_for(greeting=GREETING))
    refused.core.caller_audio(0.5)
    refused.open()
    assert refused.core.greeting_granted(False, 2.0) == []


def test_a_greeting_whose_form_is_refused_is_said_by_the_other() -> None:
    talk = Talk(plan_for(Mode.AGENT, GREETING))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, 2.0)
    commands = talk.hear(vl.ErrorEvent("invalid_request_error", "not for agents", "", "greeting-1"))
    assert types(commands) == ["conversation.item.create", "response.create"]
    assert notices(commands) == ["request_refused"]
    again = talk.hear(vl.ErrorEvent("invalid_request_error", "neither", "", "greeting-2"))
    assert notices(again) == ["request_refused", "greeting_failed"]
    assert sent(again) == []


def test_a_greeting_that_the_lost_session_did_not_begin_is_said_by_the_next() -> None:
    talk = Talk(plan_for(greeting=GREETING))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, 2.0)
    talk.core.session_lost("1006", 2.1)
    assert types(talk.open()) == ["response.create"]


def test_a_greeting_that_was_begun_is_not_said_again() -> None:
    talk = Talk(plan_for(greeting=GREETING))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, 2.0)
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    talk.core.session_lost("1006", 2.1)
    assert not [event for event in sent(talk.open()) if "pre_generated" in str(event)]


# -- turns
def test_a_turn_and_its_answer() -> None:
    talk = Talk(plan_for())
    talk.open()
    (caller,) = talk.turn()
    assert caller == Record(Turn("caller", "u1", "Where is my order?", 1000))
    talk.now = 1.5
    assert appended(talk.reply())[0] == Audio("a1", SECOND)
    talk.core.from_caller(Playing("a1"), 1.75)
    (record,) = talk.core.from_caller(Played("a1", 1000, True), 2.8)
    assert record == Record(
        Turn("agent", "a1", "It is on its way.", 1500, heard_ms=1000, first_delta_ms=500, first_frame_ms=750)
    )
    assert talk.core.quiet


def test_barge_in_clears_at_once_and_truncates_to_what_was_heard() -> None:
    talk = Talk(plan_for())
    talk.open()
    talk.reply()
    assert talk.hear(vl.SpeechStarted("u2")) == [Append(Clear("a1"))]
    commands = talk.core.from_caller(Played("a1", 400, False), 1.2)
    assert sent(commands) == [vl.truncate_item("a1", 400, "truncate-1")]
    assert not talk.core.quiet


def test_barge_in_sends_no_cancel_and_drops_late_deltas() -> None:
    talk = Talk(plan_for())
    talk.open()
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    commands = talk.hear(
        vl.SpeechStarted("u2"),
        vl.AudioDelta("r1", "a1", SECOND),
        vl.AudioDone("r1", "a1"),
        vl.ResponseDone("r1", "cancelled", "turn_detected"),
    )
    assert commands == [Append(Clear("a1"))]


def test_a_cancelled_response_clears_even_when_its_cause_was_not_told() -> None:
    talk = Talk(plan_for())
    talk.open()
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    assert appended(talk.hear(vl.ResponseDone("r1", "cancelled", "turn_detected"))) == [Clear("a1")]
    assert talk.hear(vl.SpeechStarted("u2")) == []


def test_a_caller_who_may_not_interrupt_does_not() -> None:
    talk = Talk(dataclasses.replace(plan_for(), interrupts=False))
    talk.open()
    talk.reply()
    assert talk.hear(vl.SpeechStarted("u2")) == []


def test_a_truncation_that_came_too_late_is_harmless() -> None:
    talk = Talk(plan_for())
    talk.open()
    assert talk.hear(vl.ErrorEvent("invalid_value", "already shorter", "", "truncate-1")) == []
    assert talk.core.phase is Phase.READY


def test_a_failed_response_is_asked_for_once_more_and_then_owned_up_to() -> None:
    talk = Talk(plan_for())
    talk.open()
    talk.turn()
    first = talk.hear(vl.ResponseCreated("r1"), vl.ResponseDone("r1", "failed", "message_creation_failed"))
    assert types(first) == ["response.create"]
    second = talk.hear(vl.ResponseCreated("r2"), vl.ResponseDone("r2", "failed", "message_creation_failed"))
    assert "something went wrong" in str(sent(second))
    third = talk.hear(vl.ResponseCreated("r3"), vl.ResponseDone("r3", "failed", "message_creation_failed"))
    assert sent(third) == []
    talk.turn("Hello?", "u2")
    again = talk.hear(vl.ResponseCreated("r4"), vl.ResponseDone("r4", "failed", "x"))
    assert types(again) == ["response.create"], "the next turn has its own attempts"


def test_a_filtered_answer_without_audio_has_failed() -> None:
    talk = Talk(plan_for())
    talk.open()
    commands = talk.hear(vl.ResponseCreated("r1"), vl.ResponseDone("r1", "incomplete", "content_filter"))
    assert notices(commands) == ["response_failed"]


def test_a_failed_greeting_is_said_again() -> None:
    talk = Talk(plan_for(greeting=Greeting(say_how="kindly")))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, 2.0)
    commands = talk.hear(vl.ResponseCreated("r1"), vl.ResponseDone("r1", "failed", "x"))
    assert types(commands) == ["conversation.item.create", "response.create"]


def test_a_request_that_met_another_response_is_made_after_it() -> None:
    talk = Talk(plan_for())
    talk.open()
    commands = talk.core.from_caller(Dtmf("#"), 2.0)
    assert types(commands) == ["conversation.item.create", "response.create"]
    busy = vl.ErrorEvent("conversation_already_has_active_response", "", "", "answer-1")
    assert talk.hear(vl.ResponseCreated("r_theirs"), busy) == []
    assert types(talk.hear(vl.ResponseDone("r_theirs", "completed", ""))) == ["response.create"]


def test_a_request_that_is_never_answered_does_not_block_the_next() -> None:
    talk = Talk(plan_for())
    talk.open()
    talk.core.from_caller(Dtmf("#"), 2.0)
    assert types(talk.core.from_caller(Dtmf("#"), 3.0)) == ["conversation.item.create"]
    assert talk.core.next_at() == 2.0 + PROBE_S
    assert types(talk.core.tick(2.0 + ANSWER_S)) == ["response.create"]


# -- functions
def test_an_unknown_function_is_answered_and_the_answer_spoken_after_the_response() -> None:
    talk = Talk(plan_for())
    talk.open()
    talk.hear(vl.ResponseCreated("r1"))
    commands = talk.hear(vl.FunctionCall("r1", "i1", "c1", "lookup", "{}"))
    assert sent(commands) == [vl.create_function_output("c1", NOT_AVAILABLE)]
    assert notices(commands) == ["tool_call"]
    assert types(talk.hear(vl.ResponseDone("r1", "completed", ""))) == ["response.create"]


def test_a_tool_runs_and_all_calls_are_answered_before_one_response() -> None:
    talk = Talk(plan_for(tools=frozenset({"lookup"})))
    talk.open()
    talk.hear(vl.ResponseCreated("r1"))
    calls = talk.hear(
        vl.FunctionCall("r1", "i1", "c1", "lookup", '{"id":1}'), vl.FunctionCall("r1", "i2", "c2", "lookup", "{}")
    )
    assert calls == [RunTool("c1", "lookup", '{"id":1}'), RunTool("c2", "lookup", "{}")]
    talk.hear(vl.ResponseDone("r1", "completed", ""))
    assert types(talk.core.tool_answered("c1", "one", 2.0)) == ["conversation.item.create"]
    assert types(talk.core.tool_answered("c2", "two", 2.0)) == ["conversation.item.create", "response.create"]


def test_a_caller_who_speaks_during_a_tool_is_answered_by_the_service() -> None:
    talk = Talk(plan_for())
    talk.open()
    talk.hear(vl.ResponseCreated("r1"), vl.FunctionCall("r1", "i1", "c1", "lookup", "{}"), vl.SpeechStarted("u1"))
    assert types(talk.hear(vl.ResponseDone("r1", "cancelled", "turn_detected"))) == []


# -- tones
def test_tones_become_a_say_of_the_caller() -> None:
    talk = Talk(plan_for())
    talk.open()
    assert talk.core.from_caller(Dtmf("1"), 2.0) == []
    assert talk.core.from_caller(Dtmf("2"), 2.5) == []
    assert talk.core.next_at() == 4.0
    commands = talk.core.tick(4.0)
    assert sent(commands)[0] == vl.create_message("user", "[keypad] 12")
    assert types(commands) == ["conversation.item.create", "response.create"]
    assert notices(commands) == ["tones"]


@pytest.mark.parametrize("mode", [Mode.AGENT, Mode.MODEL])
def test_tones_during_a_gap_go_to_the_next_session_once(mode: Mode) -> None:
    talk = Talk(plan_for(mode))
    talk.open("conv_1")
    talk.core.session_lost("1006", 2.0)
    assert sent(talk.core.from_caller(Dtmf("#"), 2.1)) == []
    events = sent(talk.open("conv_1"))
    assert [event for event in events if "[keypad] #" in str(event)] == [vl.create_message("user", "[keypad] #")]
    assert events[-1]["type"] == "response.create"
