from __future__ import annotations

import dataclasses

from agent_relay.core.dialog.conversation_commands import Append, Record, RunTool
from agent_relay.core.dialog.tool_calls import NOT_AVAILABLE
from agent_relay.core.dialog.voice_session import Phase
from agent_relay.core.protocol import voice_events as vl
from bridge_common.wire.entries import Audio, Clear, Played, Playing, Turn
from tests.unit.support.talk import SECOND, Talk, appended, notices, profile_for, sent, types


def test_a_turn_and_its_answer() -> None:
    talk = Talk(profile_for())
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
    talk = Talk(profile_for())
    talk.open()
    talk.reply()
    assert talk.hear(vl.SpeechStarted("u2")) == [Append(Clear("a1"))]
    commands = talk.core.from_caller(Played("a1", 400, False), 1.2)
    assert sent(commands) == [vl.truncate_item("a1", 400, "truncate-1")]
    assert not talk.core.quiet


def test_barge_in_sends_no_cancel_and_drops_late_deltas() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    commands = talk.hear(
        vl.SpeechStarted("u2"),
        vl.AudioDelta("r1", "a1", SECOND),
        vl.ResponseDone("r1", "cancelled", "turn_detected"),
    )
    assert commands == [Append(Clear("a1"))]


def test_a_cancelled_response_clears_even_when_its_cause_was_not_told() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    assert appended(talk.hear(vl.ResponseDone("r1", "cancelled", "turn_detected"))) == [Clear("a1")]
    assert talk.hear(vl.SpeechStarted("u2")) == []


def test_a_caller_who_may_not_interrupt_does_not() -> None:
    talk = Talk(dataclasses.replace(profile_for(), interrupts=False))
    talk.open()
    talk.reply()
    assert talk.hear(vl.SpeechStarted("u2")) == []


def test_a_truncation_that_came_too_late_is_harmless() -> None:
    talk = Talk(profile_for())
    talk.open()
    assert talk.hear(vl.ErrorEvent("invalid_value", "already shorter", "", "truncate-1")) == []
    assert talk.core.phase is Phase.READY


def test_an_unknown_function_is_answered_and_the_answer_spoken_after_the_response() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.hear(vl.ResponseCreated("r1"))
    commands = talk.hear(vl.FunctionCall("r1", "i1", "c1", "lookup", "{}"))
    assert sent(commands) == [vl.create_function_output("c1", NOT_AVAILABLE)]
    assert notices(commands) == ["tool_call"]
    assert types(talk.hear(vl.ResponseDone("r1", "completed", ""))) == ["response.create"]


def test_a_tool_runs_and_all_calls_are_answered_before_one_response() -> None:
    talk = Talk(profile_for(tools=frozenset({"lookup"})))
    talk.open()
    talk.hear(vl.ResponseCreated("r1"))
    calls = talk.hear(
        vl.FunctionCall("r1", "i1", "c1", "lookup", '{"id":1}'), vl.FunctionCall("r1", "i2", "c2", "lookup", "{}")
    )
    assert notices(calls[::2]) == ["tool_begun", "tool_begun"], "each is written down before it is done"
    assert calls[1::2] == [RunTool("c1", "lookup", '{"id":1}'), RunTool("c2", "lookup", "{}")]
    talk.hear(vl.ResponseDone("r1", "completed", ""))
    assert types(talk.core.tool_answered("c1", "one", 1.5)) == ["conversation.item.create"]
    assert types(talk.core.tool_answered("c2", "two", 1.5)) == ["conversation.item.create", "response.create"]


def test_a_caller_who_speaks_during_a_tool_is_answered_by_the_service() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.hear(vl.ResponseCreated("r1"), vl.FunctionCall("r1", "i1", "c1", "lookup", "{}"), vl.SpeechStarted("u1"))
    assert types(talk.hear(vl.ResponseDone("r1", "cancelled", "turn_detected"))) == []


def test_repeated_events_of_a_turn_change_nothing() -> None:
    talk = Talk(profile_for(greeting=None))
    talk.open()
    started, stopped = vl.SpeechStarted("u1"), vl.SpeechStopped("u1")
    transcript, begun = vl.UserTranscript("u1", "Hello."), vl.ResponseCreated("r1")
    talk.hear(started, started, stopped, transcript, begun)
    assert talk.hear(stopped, transcript, begun, started) == []
    assert not talk.core.caller_waits
    ended = vl.ResponseDone("r1", "failed", "x")
    assert types(talk.hear(ended)) == ["response.create"]
    assert talk.hear(ended) == [], "one failure"
    assert talk.hear(begun) == [], "it does not begin again"
    assert talk.reply("a2", "r2")


def test_a_function_call_that_comes_twice_is_carried_out_once() -> None:
    talk = Talk(profile_for(tools=frozenset({"look_up"})))
    talk.open()
    call = vl.FunctionCall("r1", "f1", "c1", "look_up", "{}")
    talk.hear(vl.ResponseCreated("r1"))
    assert [type(command).__name__ for command in talk.hear(call)] == ["Record", "RunTool"]
    assert talk.hear(call) == []
    talk.core.tool_answered("c1", "{}", 2.0)
    assert talk.hear(call) == []


def test_a_refused_truncation_is_no_refused_request() -> None:
    talk = Talk(profile_for(greeting=None))
    talk.open()
    talk.turn()
    talk.reply()
    talk.hear(vl.SpeechStarted("u2"))
    (truncation,) = sent(talk.core.from_caller(Played("a1", 0, False), 2.0))
    assert truncation["audio_end_ms"] == 0
    refusal = vl.ErrorEvent("unsupported_content_type", "Only model output audio messages can be truncated", "", "")
    assert types(talk.hear(refusal)) == ["conversation.item.delete"]
    assert talk.hear(refusal) == []


def test_a_response_id_that_the_service_uses_again_is_another_response() -> None:
    talk = Talk(profile_for(greeting=None))
    talk.open()
    talk.turn()
    talk.reply("a1", "r1")
    talk.core.from_caller(Played("a1", 1000, True), 2.0)
    talk.now = 3.0
    talk.turn("And when?", "u2")
    talk.reply("a2", "r1")
    (record,) = talk.core.from_caller(Played("a2", 1000, True), 4.5)
    assert isinstance(record, Record)
    assert talk.core.quiet, "it has answered the caller's second turn"
    assert talk.core.next_at() is None


def test_a_report_of_a_response_that_comes_after_its_end_begins_nothing() -> None:
    talk = Talk(profile_for(greeting=None))
    talk.open()
    talk.turn()
    talk.hear(vl.AudioDelta("r1", "a1", SECOND), vl.ResponseDone("r1", "completed", ""))
    assert talk.hear(vl.ResponseCreated("r1")) == []
    talk.core.from_caller(Played("a1", 1000, True), 2.0)
    assert talk.core.next_at() is None
