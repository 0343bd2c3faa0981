from __future__ import annotations

import dataclasses

import pytest

from agent_relay.core import voice_live as vl
from agent_relay.core.agent_profile import AgentProfile, Greeting
from agent_relay.core.commands import Abandon, Append, Command, MarkGreeted, Ready, Record, RunTool, Send
from agent_relay.core.connection import Mode, Target
from agent_relay.core.conversation import OPENING_S, STALL_S, Conversation, Phase
from agent_relay.core.history import History
from agent_relay.core.plan import Plan, plan_of
from agent_relay.core.responses import ANSWER_S
from agent_relay.core.tool_calls import NOT_AVAILABLE
from bridge_common.audio import bytes_of_ms
from bridge_common.entries import Audio, Clear, Dtmf, Hold, MediaAttached, MediaDetached, Notice, Played, Playing, Turn

SECOND = bytes(bytes_of_ms(1000, 24_000))
GREETING = Greeting(text="Welcome!")


def _plan(mode: Mode = Mode.MODEL, greeting: Greeting | None = None, tools: frozenset[str] = frozenset()) -> Plan:
    target = Target(mode=mode, endpoint="https://res", api_version="2026-07-15", model="gpt-4.1")
    return plan_of(AgentProfile(greeting=greeting), target, tools=tools)


def _updated(conversation_id: str = "") -> vl.SessionUpdated:
    return vl.SessionUpdated("sess_1", conversation_id, 0)


class Talk:
    """A conversation and the commands that each step of it brought."""

    def __init__(self, plan: Plan, *, greeted: bool = False, taken_over: bool = False, history: History | None = None):
        self.core = Conversation(plan, history or History(), greeted=greeted, taken_over=taken_over)
        self.core.begin(0.0)
        self.now = 1.0

    def open(self, conversation_id: str = "") -> list[Command]:
        self.core.connected(self.now)
        self.hear(vl.SessionCreated("sess_1", "", 0))
        return self.hear(_updated(conversation_id))

    def hear(self, *events: vl.ServerEvent) -> list[Command]:
        return [command for event in events for command in self.core.voice_event(event, self.now)]

    def turn(self, text: str = "Where is my order?", item: str = "u1") -> list[Command]:
        started, stopped = vl.SpeechStarted(item), vl.SpeechStopped(item)
        return self.hear(started, stopped, vl.UserTranscript(item, text))

    def reply(self, item: str = "a1", response: str = "r1", status: str = "completed") -> list[Command]:
        return self.hear(
            vl.ResponseCreated(response),
            vl.AgentTranscriptDone(response, item, "It is on its way."),
            vl.AudioDelta(response, item, SECOND),
            vl.AudioDone(response, item),
            vl.ResponseDone(response, status, ""),
        )


def _sent(commands: list[Command]) -> list[vl.ClientEvent]:
    return [c.event for c in commands if isinstance(c, Send)]


def _types(commands: list[Command]) -> list[object]:
    return [event["type"] for event in _sent(commands)]


def _notices(commands: list[Command]) -> list[str]:
    return [c.entry.what for c in commands if isinstance(c, Record) and isinstance(c.entry, Notice)]


def _appended(commands: list[Command]) -> list[object]:
    return [c.entry for c in commands if isinstance(c, Append)]


# -- opening
def test_a_session_is_configured_before_it_is_ready() -> None:
    talk = Talk(_plan())
    talk.core.connected(1.0)
    (update,) = talk.hear(vl.SessionCreated("sess_1", "", 0))
    assert isinstance(update, Send)
    assert update.event["type"] == "session.update"
    assert talk.hear(vl.SpeechStarted("u1")) == [], "nothing counts before session.updated"
    assert talk.hear(_updated("conv_1")) == [Ready("sess_1", "conv_1")]
    assert talk.core.phase is Phase.READY


def test_a_refused_setting_is_left_out_and_noted() -> None:
    talk = Talk(_plan())
    talk.core.connected(1.0)
    talk.hear(vl.SessionCreated("sess_1", "", 0))
    commands = talk.hear(vl.ErrorEvent("invalid_voice_type", "no such voice", "session.voice", "update-1"))
    assert _notices(commands) == ["setting_refused"]
    (update,) = _sent(commands)
    assert isinstance(update["session"], dict)
    assert "voice" not in update["session"]


def test_a_session_that_refuses_everything_is_abandoned_for_good() -> None:
    talk = Talk(_plan())
    talk.core.connected(1.0)
    talk.hear(vl.SessionCreated("sess_1", "", 0))
    refusal = vl.ErrorEvent("invalid_session_update_message", "no", "", "update-1")
    commands = talk.hear(refusal, refusal, refusal)
    assert isinstance(commands[-1], Abandon)
    assert not commands[-1].retry


def test_the_words_against_an_agent_are_kept_as_the_reason() -> None:
    talk = Talk(_plan(Mode.AGENT))
    talk.core.connected(1.0)
    assert talk.hear(vl.ErrorEvent("agent_initialization_failed", "no such agent", "", "")) == []
    assert talk.core.last_error == "agent_initialization_failed: no such agent"


def test_a_session_that_is_never_ready_is_abandoned() -> None:
    talk = Talk(_plan())
    talk.core.connected(1.0)
    assert talk.core.next_at() == 1.0 + OPENING_S
    assert talk.core.tick(1.0 + OPENING_S - 0.1) == []
    assert isinstance(talk.core.tick(1.0 + OPENING_S)[-1], Abandon)


# -- greeting
def test_the_greeting_waits_for_the_session_the_media_and_the_first_audio() -> None:
    talk = Talk(_plan(greeting=GREETING))
    assert MarkGreeted() not in talk.open()
    assert talk.core.from_caller(MediaAttached(16000), 2.0) == []
    assert talk.core.caller_audio(2.1) == [MarkGreeted()]
    commands = talk.core.greeting_granted(True, 2.2)
    assert _notices(commands) == ["greeting"]
    assert _sent(commands) == [{**vl.create_spoken("Welcome!"), "event_id": "greeting-1"}]
    assert talk.core.caller_audio(2.3) == []


def test_the_greeting_does_not_wait_for_audio_for_ever() -> None:
    talk = Talk(_plan(greeting=GREETING))
    talk.core.from_caller(MediaAttached(16000), 0.75)
    talk.open()
    assert talk.core.next_at() == 1.25
    assert talk.core.tick(1.0) == []
    assert talk.core.tick(1.25) == [MarkGreeted()]


def test_media_before_the_session() -> None:
    talk = Talk(_plan(greeting=GREETING))
    talk.core.caller_audio(0.5)
    assert talk.open()[-1] == MarkGreeted()


def test_a_call_that_was_greeted_is_not_greeted_again() -> None:
    talk = Talk(_plan(greeting=GREETING), greeted=True, taken_over=True)
    talk.core.caller_audio(0.5)
    assert MarkGreeted() not in talk.open()
    refused = Talk(_plan(greeting=GREETING))
    refused.core.caller_audio(0.5)
    refused.open()
    assert refused.core.greeting_granted(False, 2.0) == []


def test_a_greeting_whose_form_is_refused_is_said_by_the_other() -> None:
    talk = Talk(_plan(Mode.AGENT, GREETING))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, 2.0)
    commands = talk.hear(vl.ErrorEvent("invalid_request_error", "not for agents", "", "greeting-1"))
    assert _types(commands) == ["conversation.item.create", "response.create"]
    assert _notices(commands) == ["request_refused"]
    again = talk.hear(vl.ErrorEvent("invalid_request_error", "neither", "", "greeting-2"))
    assert _notices(again) == ["request_refused", "greeting_failed"]
    assert _sent(again) == []


def test_a_greeting_that_the_lost_session_did_not_begin_is_said_by_the_next() -> None:
    talk = Talk(_plan(greeting=GREETING))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, 2.0)
    talk.core.session_lost("1006", 2.1)
    assert _types(talk.open()) == ["response.create"]


def test_a_greeting_that_was_begun_is_not_said_again() -> None:
    talk = Talk(_plan(greeting=GREETING))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, 2.0)
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    talk.core.session_lost("1006", 2.1)
    assert not [event for event in _sent(talk.open()) if "pre_generated" in str(event)]


# -- turns
def test_a_turn_and_its_answer() -> None:
    talk = Talk(_plan())
    talk.open()
    (caller,) = talk.turn()
    assert caller == Record(Turn("caller", "u1", "Where is my order?", 1000))
    talk.now = 1.5
    assert _appended(talk.reply())[0] == Audio("a1", SECOND)
    talk.core.from_caller(Playing("a1"), 1.75)
    (record,) = talk.core.from_caller(Played("a1", 1000, True), 2.8)
    assert record == Record(
        Turn("agent", "a1", "It is on its way.", 1500, heard_ms=1000, first_delta_ms=500, first_frame_ms=750)
    )
    assert talk.core.quiet


def test_barge_in_clears_at_once_and_truncates_to_what_was_heard() -> None:
    talk = Talk(_plan())
    talk.open()
    talk.reply()
    assert talk.hear(vl.SpeechStarted("u2")) == [Append(Clear("a1"))]
    commands = talk.core.from_caller(Played("a1", 400, False), 1.2)
    assert _sent(commands) == [vl.truncate_item("a1", 400, "truncate-1")]
    assert not talk.core.quiet


def test_barge_in_sends_no_cancel_and_drops_late_deltas() -> None:
    talk = Talk(_plan())
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
    talk = Talk(_plan())
    talk.open()
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    assert _appended(talk.hear(vl.ResponseDone("r1", "cancelled", "turn_detected"))) == [Clear("a1")]
    assert talk.hear(vl.SpeechStarted("u2")) == []


def test_a_caller_who_may_not_interrupt_does_not() -> None:
    talk = Talk(dataclasses.replace(_plan(), interrupts=False))
    talk.open()
    talk.reply()
    assert talk.hear(vl.SpeechStarted("u2")) == []


def test_a_truncation_that_came_too_late_is_harmless() -> None:
    talk = Talk(_plan())
    talk.open()
    assert talk.hear(vl.ErrorEvent("invalid_value", "already shorter", "", "truncate-1")) == []
    assert talk.core.phase is Phase.READY


def test_a_failed_response_is_asked_for_once_more_and_then_owned_up_to() -> None:
    talk = Talk(_plan())
    talk.open()
    talk.turn()
    first = talk.hear(vl.ResponseCreated("r1"), vl.ResponseDone("r1", "failed", "message_creation_failed"))
    assert _types(first) == ["response.create"]
    second = talk.hear(vl.ResponseCreated("r2"), vl.ResponseDone("r2", "failed", "message_creation_failed"))
    assert "something went wrong" in str(_sent(second))
    third = talk.hear(vl.ResponseCreated("r3"), vl.ResponseDone("r3", "failed", "message_creation_failed"))
    assert _sent(third) == []
    talk.turn("Hello?", "u2")
    again = talk.hear(vl.ResponseCreated("r4"), vl.ResponseDone("r4", "failed", "x"))
    assert _types(again) == ["response.create"], "the next turn has its own attempts"


def test_a_filtered_answer_without_audio_has_failed() -> None:
    talk = Talk(_plan())
    talk.open()
    commands = talk.hear(vl.ResponseCreated("r1"), vl.ResponseDone("r1", "incomplete", "content_filter"))
    assert _notices(commands) == ["response_failed"]


def test_a_failed_greeting_is_said_again() -> None:
    talk = Talk(_plan(greeting=Greeting(say_how="kindly")))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, 2.0)
    commands = talk.hear(vl.ResponseCreated("r1"), vl.ResponseDone("r1", "failed", "x"))
    assert _types(commands) == ["conversation.item.create", "response.create"]


def test_a_request_that_met_another_response_is_made_after_it() -> None:
    talk = Talk(_plan())
    talk.open()
    commands = talk.core.from_caller(Dtmf("#"), 2.0)
    assert _types(commands) == ["conversation.item.create", "response.create"]
    busy = vl.ErrorEvent("conversation_already_has_active_response", "", "", "answer-1")
    assert talk.hear(vl.ResponseCreated("r_theirs"), busy) == []
    assert _types(talk.hear(vl.ResponseDone("r_theirs", "completed", ""))) == ["response.create"]


def test_a_request_that_is_never_answered_does_not_block_the_next() -> None:
    talk = Talk(_plan())
    talk.open()
    talk.core.from_caller(Dtmf("#"), 2.0)
    assert _types(talk.core.from_caller(Dtmf("#"), 3.0)) == ["conversation.item.create"]
    assert talk.core.next_at() == 2.0 + ANSWER_S
    assert _types(talk.core.tick(2.0 + ANSWER_S)) == ["response.create"]


# -- functions
def test_an_unknown_function_is_answered_and_the_answer_spoken_after_the_response() -> None:
    talk = Talk(_plan())
    talk.open()
    talk.hear(vl.ResponseCreated("r1"))
    commands = talk.hear(vl.FunctionCall("r1", "i1", "c1", "lookup", "{}"))
    assert _sent(commands) == [vl.create_function_output("c1", NOT_AVAILABLE)]
    assert _notices(commands) == ["tool_call"]
    assert _types(talk.hear(vl.ResponseDone("r1", "completed", ""))) == ["response.create"]


def test_a_tool_runs_and_all_calls_are_answered_before_one_response() -> None:
    talk = Talk(_plan(tools=frozenset({"lookup"})))
    talk.open()
    talk.hear(vl.ResponseCreated("r1"))
    calls = talk.hear(
        vl.FunctionCall("r1", "i1", "c1", "lookup", '{"id":1}'), vl.FunctionCall("r1", "i2", "c2", "lookup", "{}")
    )
    assert calls == [RunTool("c1", "lookup", '{"id":1}'), RunTool("c2", "lookup", "{}")]
    talk.hear(vl.ResponseDone("r1", "completed", ""))
    assert _types(talk.core.tool_answered("c1", "one", 2.0)) == ["conversation.item.create"]
    assert _types(talk.core.tool_answered("c2", "two", 2.0)) == ["conversation.item.create", "response.create"]


def test_a_caller_who_speaks_during_a_tool_is_answered_by_the_service() -> None:
    talk = Talk(_plan())
    talk.open()
    talk.hear(vl.ResponseCreated("r1"), vl.FunctionCall("r1", "i1", "c1", "lookup", "{}"), vl.SpeechStarted("u1"))
    assert _types(talk.hear(vl.ResponseDone("r1", "cancelled", "turn_detected"))) == []


# -- tones
def test_tones_become_a_say_of_the_caller() -> None:
    talk = Talk(_plan())
    talk.open()
    assert talk.core.from_caller(Dtmf("1"), 2.0) == []
    assert talk.core.from_caller(Dtmf("2"), 2.5) == []
    assert talk.core.next_at() == 4.0
    commands = talk.core.tick(4.0)
    assert _sent(commands)[0] == vl.create_message("user", "[keypad] 12")
    assert _types(commands) == ["conversation.item.create", "response.create"]
    assert _notices(commands) == ["tones"]


@pytest.mark.parametrize("mode", [Mode.AGENT, Mode.MODEL])
def test_tones_during_a_gap_go_to_the_next_session_once(mode: Mode) -> None:
    talk = Talk(_plan(mode))
    talk.open("conv_1")
    talk.core.session_lost("1006", 2.0)
    assert _sent(talk.core.from_caller(Dtmf("#"), 2.1)) == []
    sent = _sent(talk.open("conv_1"))
    assert [event for event in sent if "[keypad] #" in str(event)] == [vl.create_message("user", "[keypad] #")]
    assert sent[-1]["type"] == "response.create"


# -- reconnecting
def test_a_model_is_told_what_was_said_and_asked_for_the_owed_answer() -> None:
    talk = Talk(_plan())
    talk.open()
    talk.turn("Where is my order?")
    lost = talk.core.session_lost("1006", 2.0)
    assert _notices(lost) == ["voice_lost"]
    commands = talk.open()
    assert _sent(commands)[0] == vl.create_message("user", "Where is my order?")
    assert _types(commands) == ["conversation.item.create", "response.create"]
    assert _notices(commands) == ["voice_resumed"]


def test_a_say_that_was_never_understood_is_asked_for_again() -> None:
    talk = Talk(_plan())
    talk.open()
    talk.hear(vl.SpeechStarted("u1"), vl.SpeechStopped("u1"))
    talk.core.session_lost("1006", 2.0)
    assert "say that again" in str(_sent(talk.open()))


def test_an_agent_remembers_by_itself() -> None:
    talk = Talk(_plan(Mode.AGENT))
    talk.open("conv_1")
    talk.turn()
    talk.reply()
    talk.core.session_lost("1006", 2.0)
    assert talk.core.conversation_id == "conv_1"
    assert _sent(talk.open("conv_1")) == []


def test_an_agent_that_forgot_is_told() -> None:
    talk = Talk(_plan(Mode.AGENT))
    talk.open("conv_1")
    talk.turn()
    talk.reply()
    talk.core.session_lost("1006", 2.0)
    assert len(_sent(talk.open("conv_other"))) == 2
    assert talk.core.conversation_id == "conv_other"


def test_a_long_gap_is_filled_with_the_hold_tone() -> None:
    talk = Talk(_plan())
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.session_lost("1006", 2.0)
    assert talk.core.next_at() == 2.5
    assert talk.core.tick(2.5) == [Append(Hold(True))]
    assert Append(Hold(False)) in talk.open()


def test_a_takeover_replays_the_transcript_and_ends_the_hold() -> None:
    history = History()
    history.caller("u1", "Where is my order?")
    talk = Talk(_plan(greeting=GREETING), greeted=True, taken_over=True, history=history)
    talk.core.caller_audio(0.2)
    assert talk.core.tick(0.5) == [Append(Hold(True))]
    commands = talk.open()
    assert Append(Hold(False)) in commands
    assert _sent(commands) == [vl.create_message("user", "Where is my order?")]


def test_a_response_that_stops_coming_ends_the_session() -> None:
    talk = Talk(_plan())
    talk.open()
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    assert talk.core.next_at() == 1.0 + STALL_S
    assert talk.core.tick(1.0 + STALL_S) == [Abandon("the voice session has stalled")]


def test_media_that_is_lost_settles_what_was_playing() -> None:
    talk = Talk(_plan())
    talk.open()
    talk.reply()
    talk.core.from_caller(Playing("a1"), 1.0)
    commands = talk.core.from_caller(MediaDetached("gone"), 1.3)
    assert _sent(commands) == [vl.truncate_item("a1", 300, "truncate-1")]


def test_the_end_writes_down_what_was_being_said() -> None:
    talk = Talk(_plan())
    talk.open()
    talk.reply()
    (record,) = talk.core.call_ended(1.5)
    assert isinstance(record, Record)
    assert talk.hear(vl.AudioDelta("r2", "a2", SECOND)) == []
