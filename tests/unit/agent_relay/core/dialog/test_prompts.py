from __future__ import annotations

from agent_relay.core.dialog.conversation_commands import Abandon, GiveUp
from agent_relay.core.dialog.prompts import ScriptedSpeech
from agent_relay.core.keepalive import PROBE_S
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.agent_profile import Greeting
from agent_relay.core.protocol.voice_target import Mode
from bridge_common.wire.entries import Dtmf
from tests.unit.support.talk import GREETING, SECOND, Talk, notices, profile_for, sent, types


def test_a_greeting_whose_form_is_refused_is_said_by_the_other() -> None:
    talk = Talk(profile_for(Mode.AGENT, GREETING))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, 2.0)
    commands = talk.hear(vl.ErrorEvent("invalid_request_error", "not for agents", "", "greeting-1"))
    assert types(commands) == ["conversation.item.create", "response.create"]
    assert notices(commands) == ["request_refused"]
    again = talk.hear(vl.ErrorEvent("invalid_request_error", "neither", "", "greeting-2"))
    assert notices(again) == ["request_refused", "speech_overdue"]
    assert types(again) == ["conversation.item.create", "response.create"], "once more"
    fallback = talk.hear(vl.ErrorEvent("invalid_request_error", "neither", "", "greeting-3"))
    assert "something went wrong" in str(sent(fallback))


def test_a_greeting_that_the_lost_session_did_not_begin_is_said_by_the_next() -> None:
    talk = Talk(profile_for(greeting=GREETING))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, 2.0)
    talk.core.session_lost("1006", 2.1)
    assert types(talk.open()) == ["response.create"]


def test_a_greeting_that_was_begun_is_not_said_again() -> None:
    talk = Talk(profile_for(greeting=GREETING))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, 2.0)
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    talk.core.session_lost("1006", 2.1)
    assert not [event for event in sent(talk.open()) if "pre_generated" in str(event)]


def test_a_failed_response_is_asked_for_once_more_and_then_owned_up_to() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    first = talk.hear(vl.ResponseCreated("r1"), vl.ResponseDone("r1", "failed", "message_creation_failed"))
    assert types(first) == ["response.create"]
    second = talk.hear(vl.ResponseCreated("r2"), vl.ResponseDone("r2", "failed", "message_creation_failed"))
    assert "something went wrong" in str(sent(second))
    third = talk.hear(vl.ResponseCreated("r3"), vl.ResponseDone("r3", "failed", "message_creation_failed"))
    assert isinstance(third[-1], GiveUp), "no silence: human agents, or the recorded apology"
    assert sent(third) == []
    talk.turn("Hello?", "u2")
    again = talk.hear(vl.ResponseCreated("r4"), vl.ResponseDone("r4", "failed", "x"))
    assert types(again) == ["response.create"], "the next turn has its own attempts"


def test_a_filtered_answer_without_audio_has_failed() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    commands = talk.hear(vl.ResponseCreated("r1"), vl.ResponseDone("r1", "incomplete", "content_filter"))
    assert notices(commands) == ["response_failed", "speech_overdue"]
    assert types(commands) == ["response.create"]


def test_a_failed_greeting_is_said_again() -> None:
    talk = Talk(profile_for(greeting=Greeting(say_how="kindly")))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, 2.0)
    commands = talk.hear(vl.ResponseCreated("r1"), vl.ResponseDone("r1", "failed", "x"))
    assert types(commands) == ["conversation.item.create", "response.create"]


def test_a_request_that_met_another_response_is_made_after_it() -> None:
    talk = Talk(profile_for())
    talk.open()
    commands = talk.core.from_caller(Dtmf("#"), 2.0)
    assert types(commands) == ["conversation.item.create", "response.create"]
    busy = vl.ErrorEvent("conversation_already_has_active_response", "", "", "answer-1")
    assert talk.hear(vl.ResponseCreated("r_theirs"), busy) == []
    assert types(talk.hear(vl.ResponseDone("r_theirs", "completed", ""))) == ["response.create"]


def test_a_request_that_is_never_answered_is_made_again_on_another_session() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.core.from_caller(Dtmf("#"), 2.0)
    assert talk.core.next_at() == 2.0 + PROBE_S
    commands = talk.core.tick(2.0 + profile_for().limits.start_s)
    assert notices(commands) == ["speech_overdue"]
    assert any(isinstance(command, Abandon) for command in commands)
    talk.core.session_lost("abandoned", 7.1)
    assert types(talk.open())[-1] == "response.create"


def test_fixed_text_is_spoken_as_it_stands_and_then_by_instruction() -> None:
    speech = ScriptedSpeech(Greeting(text="Welcome!"), speaks_fixed_text=True)
    assert speech.attempt() == ([], vl.create_spoken("Welcome!"))
    assert speech.attempt() == ([], vl.create_spoken("Welcome!")), "the same form until it is refused"
    assert speech.refused()
    before, request = speech.attempt()
    assert '"Welcome!"' in str(before)
    assert request == vl.create_response()
    assert not speech.refused()


def test_without_fixed_text_there_is_only_the_instruction() -> None:
    for speech in (
        ScriptedSpeech(Greeting(text="Welcome!"), speaks_fixed_text=False),
        ScriptedSpeech(Greeting(say_how="Ask for the name."), speaks_fixed_text=True),
    ):
        assert len(speech.attempt()[0]) == 1
        assert not speech.refused()


def test_another_session_is_asked_in_the_first_form_again() -> None:
    speech = ScriptedSpeech(Greeting(text="Welcome!"), speaks_fixed_text=True)
    first = speech.attempt()
    speech.refused()
    assert speech.attempt() != first
    speech.restart()
    assert speech.attempt() == first
