"""Pending responses in a conversation: faults of the service, noise, keys, a protected greeting."""

from __future__ import annotations

import dataclasses

from agent_relay.core.dialog.caller_speech import LONGEST_S
from agent_relay.core.dialog.conversation_commands import Abandon, Append, Command, GiveUp, RunTool
from agent_relay.core.dialog.session_profile import SessionProfile, session_profile_of
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget
from bridge_common.wire.entries import Audio, Clear, Dtmf, Hold, Played, Playing
from tests.unit.support.talk import (
    GREETING,
    SECOND,
    Talk,
    appended,
    notices,
    outcomes,
    probes,
    profile_for,
    sent,
    types,
)

LIMITS = profile_for().limits


def greeted(profile: SessionProfile | None = None) -> Talk:
    """A conversation whose caller hears the greeting next."""
    talk = Talk(profile or profile_for(greeting=GREETING))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, 1.0)
    return talk


def test_an_error_that_names_no_event_has_the_greeting_asked_for_again() -> None:
    talk = greeted()
    fault = vl.ErrorEvent("server_error", "The server had an error", "", "", "server_error")
    commands = talk.hear(fault)
    assert outcomes(commands) == [("greeting", "asked_again")]
    assert sent(commands) == [{**vl.create_spoken("Welcome!"), "event_id": "greeting-2"}]


def test_a_greeting_without_sound_is_asked_for_again() -> None:
    talk = greeted()
    commands = talk.hear(vl.ResponseCreated("r1"), vl.ResponseDone("r1", "completed", ""))
    assert outcomes(commands) == [("greeting", "asked_again")]
    assert "pre_generated" in str(sent(commands))


def test_an_answer_that_was_only_written_is_spoken_as_it_stands() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    silent = (
        vl.ResponseCreated("r1"),
        vl.AgentTextDone("r1", "a1", "We open at nine."),
        vl.ResponseDone("r1", "completed", ""),
    )
    commands = talk.hear(*silent)
    assert outcomes(commands) == [("words", "asked_again")]
    assert sent(commands) == [{**vl.create_spoken("We open at nine."), "event_id": "answer-1"}]


def test_an_agent_that_works_long_is_waited_for() -> None:
    talk = Talk(profile_for())
    talk.core.caller_audio(0.5)
    talk.open()
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"))
    heard, now, commands = list[object](), 1.0, list[Command]()
    while not outcomes(commands):
        now = talk.core.next_at() or 0.0
        assert now <= 1.0 + LIMITS.patience_s
        commands = talk.core.tick(now)
        heard += appended(commands)
        for probe in probes(commands):
            talk.core.voice_event(vl.ErrorEvent("", "", "", str(probe["event_id"])), now)
    assert heard == [Hold(True, phrase=True)]
    assert outcomes(commands) == [("words", "asked_again")]
    assert now == 1.0 + LIMITS.patience_s


def test_a_service_that_reports_a_response_late_is_not_asked_twice_at_once() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    commands = talk.core.tick(1.0 + LIMITS.start_s)
    assert types(commands)[-1] == "response.create"
    talk.now = 6.1
    assert talk.hear(vl.ErrorEvent("conversation_already_has_active_response", "", "", "answer-1")) == []
    assert not any(isinstance(c, Abandon | GiveUp) for c in talk.core.tick(30.0)), "it works"
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND), vl.ResponseDone("r1", "completed", ""))
    commands = talk.core.from_caller(Playing("a1"), 31.0)
    assert sent(commands) == [], "it is heard"


# -- noises
def test_a_cough_is_followed_by_nothing() -> None:
    talk = Talk(profile_for())
    talk.core.caller_audio(0.5)
    talk.open()
    assert talk.turn("") == []
    assert talk.core.next_at() is None
    assert talk.core.quiet
    assert talk.core.tick(60.0) == []


def test_a_cough_in_the_middle_of_an_answer_has_its_rest_asked_for() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn("Where is my order?", "u1")
    talk.reply()
    talk.core.from_caller(Playing("a1"), 1.1)
    assert appended(talk.hear(vl.SpeechStarted("u2"))) == [Clear("a1")]
    talk.core.from_caller(Played("a1", 300, False), 1.2)
    commands = talk.hear(vl.SpeechStopped("u2"), vl.UserTranscriptFailed("u2", "no speech"))
    assert outcomes(commands) == [("rest", "resumed")]
    assert types(commands) == ["response.create"]


def test_a_late_text_of_earlier_speech_does_not_make_words_of_a_noise() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.hear(vl.SpeechStarted("u1"), vl.SpeechStopped("u1"), vl.ResponseCreated("r1"))
    talk.hear(vl.SpeechStarted("u2"), vl.ResponseDone("r1", "cancelled", "turn_detected"))
    talk.hear(vl.UserTranscript("u1", "Where is my order?"), vl.SpeechStopped("u2"))
    commands = talk.hear(vl.UserTranscript("u2", ""))
    assert outcomes(commands) == [("words", "resumed")]
    assert types(commands) == ["response.create"]


def test_speech_whose_end_is_never_reported_is_over_some_time() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.hear(vl.SpeechStarted("u1"))
    assert types(talk.core.tick(1.0 + LONGEST_S)) == []
    assert types(talk.core.tick(1.0 + LONGEST_S + LIMITS.start_s))[-1:] == ["response.create"]


# -- our requests wait for the caller
def test_keys_are_answered_after_the_caller_has_spoken() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.core.from_caller(Dtmf("3"), 1.0)
    talk.hear(vl.SpeechStarted("u1"))
    assert types(talk.core.tick(3.0)) == ["conversation.item.create"], "sent, but no answer is requested"
    talk.now = 6.0
    assert types(talk.hear(vl.SpeechStopped("u1"))) == [], "the service answers the words by itself"
    assert types(talk.hear(vl.UserTranscript("u1", ""))) == ["response.create"], "unless there were none"


def test_a_tool_that_answers_while_the_caller_speaks_waits() -> None:
    talk = Talk(profile_for(tools=frozenset({"lookup"})))
    talk.open()
    talk.hear(vl.ResponseCreated("r1"))
    commands = talk.hear(vl.FunctionCall("r1", "i1", "c1", "lookup", "{}"), vl.ResponseDone("r1", "completed", ""))
    assert RunTool("c1", "lookup", "{}") in commands
    talk.hear(vl.SpeechStarted("u1"))
    assert types(talk.core.tool_answered("c1", "done", 2.0)) == ["conversation.item.create"]


def test_a_response_of_ours_that_begins_while_the_caller_speaks_is_dropped() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.core.from_caller(Dtmf("#"), 1.0)
    talk.hear(vl.SpeechStarted("u1"))
    assert sent(talk.hear(vl.ResponseCreated("r1"))) == [vl.cancel_response("r1")]
    assert appended(talk.hear(vl.AudioDelta("r1", "a1", SECOND))) == []


def test_a_response_that_the_service_begins_by_itself_ends_the_callers_speech() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.hear(vl.SpeechStarted("u1"), vl.ResponseCreated("r1"))
    assert appended(talk.hear(vl.AudioDelta("r1", "a1", SECOND))) == [Audio("a1", SECOND)]
    assert talk.hear(vl.SpeechStopped("u1")) == [], "reported too late"
    talk.core.from_caller(Playing("a1"), 1.2)
    talk.hear(vl.ResponseDone("r1", "completed", ""))
    assert sent(talk.core.tick(1.0 + LIMITS.start_s)) == [], "it is answered"


# -- keys
def test_a_key_stops_what_is_heard() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    commands = talk.core.from_caller(Dtmf("3"), 1.5)
    assert appended(commands) == [Clear("a1")]
    assert sent(commands) == [vl.cancel_response("r1")]
    done = talk.hear(vl.ResponseDone("r1", "cancelled", "client_cancelled"))
    assert outcomes(done) == [], "the caller did not want it"
    assert types(talk.core.tick(3.5)) == ["conversation.item.create", "response.create"]


def test_a_key_leaves_work_alone_that_is_not_heard_yet() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"))
    assert talk.core.from_caller(Dtmf("3"), 1.5) == []


def test_a_hash_is_answered_at_once() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.reply()
    commands = talk.core.from_caller(Dtmf("#"), 1.5)
    assert appended(commands) == [Clear("a1")]
    assert types(commands) == ["conversation.item.create", "response.create"]


def test_keys_need_not_stop_the_agent() -> None:
    talk = Talk(dataclasses.replace(profile_for(), keys_interrupt=False))
    talk.open()
    talk.reply()
    assert talk.core.from_caller(Dtmf("3"), 1.5) == []


# -- a greeting that cannot be interrupted
def protected() -> SessionProfile:
    target = VoiceTarget(mode=Mode.MODEL, endpoint="https://res", api_version="2026-07-15", model="gpt-4.1")
    return session_profile_of(
        AgentProfile(greeting=Greeting(text="This call is recorded.", interruptible=False)), target
    )


def test_a_protected_greeting_is_heard_to_its_end() -> None:
    talk = greeted(protected())
    assert talk.core.withholds_audio
    assert talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND), vl.SpeechStarted("u1"))[1:] == []
    talk.hear(vl.ItemDone("r1", "a1"), vl.AgentTranscriptDone("r1", "a1", "This call is recorded."))
    talk.hear(vl.ResponseDone("r1", "completed", ""))
    talk.core.from_caller(Playing("a1"), 1.2)
    assert talk.core.from_caller(Dtmf("1"), 1.3) == [], "keys do not stop it either"
    assert talk.core.withholds_audio
    talk.core.from_caller(Played("a1", 1000, True), 2.2)
    assert not talk.core.withholds_audio


def test_keys_before_the_first_audio_leave_a_protected_greeting_protected() -> None:
    talk = greeted(protected())
    talk.core.from_caller(Dtmf("#"), 1.1)
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    assert talk.core.withholds_audio


def test_a_protected_greeting_that_the_service_cancels_is_asked_for_again() -> None:
    talk = greeted(protected())
    talk.hear(vl.ResponseCreated("r1"), vl.SpeechStarted("u1"))
    commands = talk.hear(vl.ResponseDone("r1", "cancelled", "turn_detected"))
    assert outcomes(commands) == [("greeting", "asked_again")]


def test_other_greetings_protect_nothing() -> None:
    assert not greeted().core.withholds_audio


# -- responses whose beginning or end is not reported
def test_audio_of_a_response_that_was_never_reported_is_an_answer() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    heard = talk.hear(vl.AudioDelta("r1", "a1", SECOND), vl.AudioDelta("r1", "a1", SECOND))
    assert appended(heard) == [Audio("a1", SECOND)] * 2
    assert talk.hear(vl.ResponseCreated("r1")) == [], "reported too late"
    talk.hear(vl.ItemDone("r1", "a1"), vl.ResponseDone("r1", "completed", ""))
    talk.core.from_caller(Playing("a1"), 1.1)
    assert outcomes(talk.core.tick(1.0 + LIMITS.start_s)) == []


def test_a_response_that_was_heard_to_its_end_has_ended() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND), vl.ItemDone("r1", "a1"))
    talk.core.from_caller(Playing("a1"), 1.1)
    talk.core.from_caller(Played("a1", 1000, True), 2.1)
    assert outcomes(talk.core.tick(1.1 + LIMITS.start_s)) == []
    assert talk.core.quiet
    assert types(talk.core.from_caller(Dtmf("#"), 8.0))[-1] == "response.create", "nothing blocks the session"


def test_a_function_call_whose_response_does_not_end_is_answered() -> None:
    talk = Talk(profile_for(tools=frozenset({"lookup"})))
    talk.open()
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"), vl.FunctionCall("r1", "i1", "c1", "lookup", "{}"))
    assert "response.create" not in types(talk.core.tool_answered("c1", "done", 2.0))
    assert types(talk.core.tick(1.0 + LIMITS.start_s))[-1:] == ["response.create"]


def test_an_answer_that_comes_beside_another_one_is_not_heard() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    talk.core.tick(1.0 + LIMITS.start_s)
    talk.reply("a1", "r1")
    talk.core.from_caller(Playing("a1"), 6.5)
    assert sent(talk.hear(vl.ResponseCreated("r2"))) == [vl.cancel_response("r2")]
    assert appended(talk.hear(vl.AudioDelta("r2", "a2", SECOND))) == []


def test_a_response_that_the_service_begins_by_itself_later_is_heard() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    talk.reply("a1", "r1")
    talk.core.from_caller(Playing("a1"), 1.1)
    assert sent(talk.hear(vl.ResponseCreated("r2"))) == []


# -- noise upon noise
def noise(talk: Talk, item: str) -> list[Command]:
    return talk.hear(vl.SpeechStarted(item), vl.SpeechStopped(item), vl.UserTranscript(item, ""))


def test_work_that_a_noise_did_not_cancel_is_heard_in_its_own_time() -> None:
    talk = Talk(profile_for())
    talk.core.caller_audio(0.5)
    talk.open()
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"))
    for number in range(20):
        talk.now = 2.0 + number
        assert outcomes(noise(talk, f"n{number}")) == []
    assert Append(Hold(True, phrase=True)) in talk.core.tick(22.0), "the caller waits since the question"
    talk.now = 23.0
    assert appended(talk.hear(vl.AudioDelta("r1", "a1", SECOND))) == [Audio("a1", SECOND)]


def test_noises_that_cancel_again_and_again_end_in_the_fallback() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    followed = []
    for number in range(4):
        response = f"r{number}"
        talk.hear(vl.ResponseCreated(response), vl.SpeechStarted(f"n{number}"))
        talk.hear(vl.ResponseDone(response, "cancelled", "turn_detected"), vl.SpeechStopped(f"n{number}"))
        followed += outcomes(talk.hear(vl.UserTranscript(f"n{number}", "")))
    assert followed == [("words", "resumed")] * 3 + [("words", "fallback")]


# -- answers without speech
def test_an_answer_that_is_cut_after_a_word_is_asked_for_again() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    short = SECOND[: len(SECOND) // 4]
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", short))
    commands = talk.hear(vl.ResponseDone("r1", "incomplete", "content_filter"))
    assert notices(commands) == ["response_failed", "speech_overdue"]
    assert types(commands) == ["response.create"]


def test_a_long_answer_that_is_cut_is_noted() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND * 2))
    commands = talk.hear(vl.ResponseDone("r1", "incomplete", "max_output_tokens"))
    assert notices(commands) == ["response_failed"]


def test_an_answer_heard_before_its_response_ends_is_not_asked_for_again() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"), vl.AgentTranscriptDone("r1", "a1", "At nine."))
    talk.hear(vl.AudioDelta("r1", "a1", SECOND), vl.ItemDone("r1", "a1"))
    talk.core.from_caller(Playing("a1"), 1.1)
    talk.core.from_caller(Played("a1", 1000, True), 2.1)
    assert outcomes(talk.hear(vl.ResponseDone("r1", "completed", ""))) == []


def test_a_protected_greeting_that_is_cut_off_is_spoken_as_a_whole() -> None:
    talk = greeted(protected())
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    talk.core.from_caller(Playing("a1"), 1.2)
    cancelled = talk.hear(vl.ResponseDone("r1", "cancelled", "turn_detected"))
    assert not [entry for entry in appended(cancelled) if isinstance(entry, Clear)]
    assert "This call is recorded." in str(sent(cancelled))


def test_a_quota_outlasts_the_voice_session() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"), vl.ResponseDone("r1", "failed", "rate_limit_exceeded", "try again in 6 s"))
    talk.core.session_lost("1006", 2.0)
    talk.now = 2.5
    assert "response.create" not in types(talk.open())
    assert types(talk.core.tick(7.0)) == ["response.create"]
