from __future__ import annotations

import dataclasses
import json

import pytest

from agent_relay.core.announcements.announcement import STOP_PAUSE_S
from agent_relay.core.dialog.caller_turns import ANSWER_DUE_S
from agent_relay.core.dialog.conversation_commands import Command, MarkGreeted, MarkSaid, Record
from agent_relay.core.keepalive import PROBE_S
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.voice_target import Mode
from bridge_common.wire.entries import Audio, Clear, Dtmf, MediaAttached, Notice, Played, Playing, Say, Turn
from tests.unit.support.talk import GREETING, SECOND, Talk, appended, profile_for, sent, types

TWO = Say("say_1", 0, "Good morning. This is Contoso.", last=True)


def open_line(talk: Talk, conversation_id: str = "") -> Talk:
    talk.core.caller_audio(0.5)
    talk.open(conversation_id)
    return talk


def said(commands: list[Command]) -> list[str]:
    """Return the texts whose speech is requested."""
    asked = []
    for event in sent(commands):
        response = event.get("response")
        if isinstance(response, dict) and "pre_generated_assistant_message" in response:
            asked.append(str(response["pre_generated_assistant_message"]["content"][0]["text"]))
    return asked


def outcomes(commands: list[Command]) -> list[tuple[str, str]]:
    details = [
        json.loads(c.entry.detail)
        for c in commands
        if isinstance(c, Record) and isinstance(c.entry, Notice) and c.entry.what == "say"
    ]
    return [(detail["say_id"], detail["outcome"]) for detail in details]


def marks(commands: list[Command]) -> list[MarkSaid]:
    return [command for command in commands if isinstance(command, MarkSaid)]


def speak(talk: Talk, response: str, item: str, text: str) -> list[Command]:
    return talk.hear(
        vl.ResponseCreated(response),
        vl.AgentTranscriptDone(response, item, text),
        vl.AudioDelta(response, item, SECOND),
        vl.ResponseDone(response, "completed", ""),
    )


def test_a_text_is_spoken_sentence_by_sentence_and_told_of_when_it_was_heard() -> None:
    talk = open_line(Talk(profile_for()))
    first = talk.core.say("5-0", TWO, 2.0)
    assert said(first) == ["Good morning."]
    second = speak(talk, "r1", "a1", "Good morning.")
    assert said(second) == ["This is Contoso."]
    assert marks(second) == [MarkSaid("say_1:14", "", "5-0")]
    done = speak(talk, "r2", "a2", "This is Contoso.")
    assert marks(done) == [MarkSaid("say_1:30", "", "5-0"), MarkSaid("", "", "5-1")]
    assert outcomes(talk.core.from_caller(Played("a1", 1000, True), 3.0)) == []
    assert outcomes(talk.core.from_caller(Played("a2", 1000, True), 4.0)) == [("say_1", "spoken")]
    assert talk.core.quiet
    assert outcomes(talk.core.call_ended(5.0)) == [], "nothing is left to report"


def test_the_first_sentence_is_asked_for_while_the_second_is_being_written() -> None:
    talk = open_line(Talk(profile_for()))
    assert said(talk.core.say("1-0", Say("say_1", 0, "Good morning."), 2.0)) == []
    assert said(talk.core.say("2-0", Say("say_1", 13, " T"), 2.1)) == ["Good morning."]
    assert said(speak(talk, "r1", "a1", "Good morning.")) == []
    assert talk.core.quiet is False, "it sounds"
    assert said(talk.core.say("3-0", Say("say_1", 15, "hat is all.", last=True), 2.1)) == ["That is all."]


def test_a_pause_of_the_writer_is_noticed_by_the_clock() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", Say("say_1", 0, "Good morning."), 2.0)
    assert talk.core.next_at() == pytest.approx(2.0 + STOP_PAUSE_S)
    assert said(talk.core.tick(2.0)) == []
    assert said(talk.core.tick(2.0 + STOP_PAUSE_S)) == ["Good morning."]


def test_a_barge_in_drops_the_rest_and_what_is_still_written() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", Say("say_1", 0, "Good morning. This is Contoso. And"), 2.0)
    talk.core.say("2-0", Say("say_2", 0, "Later.", last=True), 2.0)
    speak(talk, "r1", "a1", "Good morning.")
    talk.core.from_caller(Playing("a1"), 2.1)
    talk.hear(vl.ResponseCreated("r2"), vl.AudioDelta("r2", "a2", SECOND))
    stopped = talk.hear(vl.SpeechStarted("u1"))
    assert appended(stopped) == [Clear("a2")]
    assert "response.cancel" not in types(stopped), "the service has cancelled it already"
    assert outcomes(stopped) == [], "it may be a noise"
    assert said(talk.hear(vl.ResponseDone("r2", "cancelled", "turn_detected"))) == []
    words = talk.hear(vl.UserTranscript("u1", "Wait."))
    assert outcomes(words) == [("say_1", "interrupted")]
    assert marks(words) == [MarkSaid("", "say_1", "2-0")], "a text that has not begun is still wanted"
    assert talk.core.say("3-0", Say("say_1", 34, " more. Of it.", last=True), 2.5) == []
    (turn,) = [c.entry for c in talk.core.from_caller(Played("a1", 500, False), 2.6) if isinstance(c, Record)]
    assert isinstance(turn, Turn)
    assert (turn.text, turn.heard_ms, turn.interrupted) == ("Good", 500, True)
    # The caller is answered before the next text begins.
    talk.hear(vl.SpeechStopped("u1"), vl.ResponseCreated("r3"), vl.AudioDelta("r3", "a3", SECOND))
    assert said(talk.hear(vl.ResponseDone("r3", "completed", ""))) == ["Later."]


def test_a_barge_in_after_all_was_generated_is_no_less_one() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", Say("say_1", 0, "Good morning.", last=True), 2.0)
    speak(talk, "r1", "a1", "Good morning.")
    talk.core.from_caller(Playing("a1"), 2.1)
    assert outcomes(talk.hear(vl.SpeechStarted("u1"), vl.SpeechStopped("u1"))) == []
    assert outcomes(talk.hear(vl.ResponseCreated("r2"))) == [("say_1", "interrupted")], "the service answers words"


def test_after_a_noise_it_goes_on_with_what_was_not_heard() -> None:
    talk = open_line(Talk(profile_for()))
    text = "Good morning. This is Contoso. We are closed."
    talk.core.say("1-0", Say("say_1", 0, text, last=True), 2.0)
    speak(talk, "r1", "a1", "Good morning.")
    talk.core.from_caller(Played("a1", 1000, True), 3.0)
    speak(talk, "r2", "a2", "This is Contoso.")
    talk.hear(vl.ResponseCreated("r3"), vl.AudioDelta("r3", "a3", SECOND))
    noise = talk.hear(vl.SpeechStarted("u1"), vl.ResponseDone("r3", "cancelled", "turn_detected"))
    talk.core.from_caller(Played("a2", 400, False), 3.5)
    noise += talk.hear(vl.SpeechStopped("u1"))
    assert outcomes(noise) == []
    assert said(noise) == []
    again = talk.hear(vl.UserTranscript("u1", ""))
    assert said(again) == ["This is Contoso."]
    assert said(speak(talk, "r4", "a4", "This is Contoso.")) == ["We are closed."]
    speak(talk, "r5", "a5", "We are closed.")
    talk.core.from_caller(Played("a4", 1000, True), 5.0)
    assert outcomes(talk.core.from_caller(Played("a5", 1000, True), 6.0)) == [("say_1", "spoken")]


def test_a_text_that_was_whole_but_not_heard_is_spoken_again_after_a_noise() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", Say("say_1", 0, "Good morning.", last=True), 2.0)
    speak(talk, "r1", "a1", "Good morning.")
    talk.hear(vl.SpeechStarted("u1"), vl.SpeechStopped("u1"))
    talk.core.from_caller(Played("a1", 0, False), 2.2)
    assert said(talk.hear(vl.UserTranscriptFailed("u1", "no speech"))) == ["Good morning."]


def test_a_caller_who_may_not_interrupt_does_not() -> None:
    talk = open_line(Talk(dataclasses.replace(profile_for(), interrupts=False)))
    talk.core.say("1-0", TWO, 2.0)
    assert talk.hear(vl.SpeechStarted("u1"), vl.SpeechStopped("u1")) == []
    assert said(speak(talk, "r1", "a1", "Good morning.")) == []
    assert said(talk.core.tick(talk.now + ANSWER_DUE_S)) == ["This is Contoso."]


def test_a_response_that_begins_after_its_text_was_dropped_is_not_heard() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    talk.hear(vl.SpeechStarted("u1"))
    assert sent(talk.hear(vl.ResponseCreated("r1"))) == [vl.cancel_response("r1")]
    assert appended(talk.hear(vl.AudioDelta("r1", "a1", SECOND))) == []
    assert said(talk.hear(vl.ResponseDone("r1", "cancelled", "client_cancelled"))) == []


# -- its place among the others
def test_it_waits_for_the_agent_to_finish() -> None:
    talk = open_line(Talk(profile_for()))
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    assert said(talk.core.say("1-0", TWO, 2.0)) == []
    assert said(talk.hear(vl.ResponseDone("r1", "completed", ""))) == ["Good morning."]


def test_one_that_interrupts_does_not_wait() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    talk.core.say("2-0", Say("say_2", 0, "Never.", last=True), 2.0)
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    urgent = talk.core.say("3-0", Say("say_3", 0, "Fire!", last=True, interrupt=True), 2.1)
    assert appended(urgent) == [Clear("a1")]
    assert sent(urgent) == [vl.cancel_response("r1")]
    assert outcomes(urgent) == [("say_1", "replaced"), ("say_2", "replaced")]
    assert marks(urgent) == [MarkSaid("", "say_1 say_2", "3-0")]
    assert appended(talk.hear(vl.AudioDelta("r1", "a1", SECOND))) == []
    assert said(talk.hear(vl.ResponseDone("r1", "cancelled", "client_cancelled"))) == ["Fire!"]


def test_it_waits_for_the_caller_and_the_answer_but_not_for_ever() -> None:
    talk = open_line(Talk(profile_for()))
    talk.hear(vl.SpeechStarted("u1"))
    assert said(talk.core.say("1-0", TWO, 2.0)) == []
    talk.now = 3.0
    assert said(talk.hear(vl.SpeechStopped("u1"))) == []
    assert talk.core.next_at() == pytest.approx(3.0 + PROBE_S)
    assert said(talk.core.tick(3.0 + ANSWER_DUE_S - 0.1)) == []
    assert said(talk.core.tick(3.0 + ANSWER_DUE_S)) == ["Good morning."]


def test_it_waits_for_the_line_and_for_the_greeting() -> None:
    talk = Talk(profile_for(greeting=GREETING))
    assert talk.core.say("1-0", TWO, 0.5) == []
    talk.open()
    assert said(talk.core.from_caller(MediaAttached(16_000), 2.0)) == []
    assert MarkGreeted() in talk.core.caller_audio(2.1)
    granted = talk.core.greeting_granted(True, 2.2)
    assert said(granted) == ["Welcome!"]
    talk.now = 2.3
    assert said(speak(talk, "r1", "a1", "Welcome!")) == ["Good morning."]


def test_one_text_after_the_other() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", Say("say_1", 0, "One."), 2.0)
    assert said(talk.core.say("2-0", Say("say_2", 0, "Three. Four.", last=True), 2.0)) == []
    assert said(talk.core.say("3-0", Say("say_1", 4, " Two.", last=True), 2.0)) == ["One."]
    assert said(speak(talk, "r1", "a1", "One.")) == ["Two."]
    last = speak(talk, "r2", "a2", "Two.")
    assert said(last) == ["Three."]
    assert marks(last)[-1] == MarkSaid("", "", "2-0")


def test_tones_are_answered_in_between() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    talk.core.from_caller(Dtmf("#"), 2.1)
    after = speak(talk, "r1", "a1", "Good morning.")
    assert [event["event_id"] for event in sent(after)] == ["answer-2"]


# -- when it does not go well
def test_a_form_that_is_refused_gives_way_to_the_next_for_good() -> None:
    talk = open_line(Talk(profile_for(Mode.AGENT)))
    talk.core.say("1-0", TWO, 2.0)
    again = talk.hear(vl.ErrorEvent("invalid_request_error", "not for agents", "", "say-1"))
    assert types(again) == ["conversation.item.create", "response.create"]
    assert '"Good morning."' in str(sent(again)[0])
    second = speak(talk, "r1", "a1", "Good morning.")
    assert types(second) == ["conversation.item.create", "response.create"]
    given_up = talk.hear(vl.ErrorEvent("invalid_request_error", "neither", "", "say-3"))
    assert sent(given_up) == []
    assert outcomes(given_up) == [("say_1", "failed")]


def test_a_model_is_instructed_when_it_takes_no_fixed_text() -> None:
    talk = open_line(Talk(profile_for(Mode.MODEL)))
    talk.core.say("1-0", TWO, 2.0)
    (again,) = sent(talk.hear(vl.ErrorEvent("invalid_value", "unknown field", "", "say-1")))
    assert "instructions" in str(again["response"])


def test_a_request_that_met_another_response_is_made_after_it() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    busy = vl.ErrorEvent("conversation_already_has_active_response", "", "", "say-1")
    assert sent(talk.hear(vl.ResponseCreated("r_theirs"), busy)) == []
    assert said(talk.hear(vl.ResponseDone("r_theirs", "completed", ""))) == ["Good morning."]


def test_a_failed_sentence_is_said_again_once() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    first = talk.hear(vl.ResponseCreated("r1"), vl.ResponseDone("r1", "failed", "x"))
    assert said(first) == ["Good morning."]
    second = talk.hear(vl.ResponseCreated("r2"), vl.ResponseDone("r2", "failed", "x"))
    assert outcomes(second) == [("say_1", "failed")]
    assert sent(second) == [], "no apology for what the caller did not ask"


def test_a_request_that_is_never_answered_is_made_again() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    assert said(talk.core.tick(2.0 + profile_for().limits.start_s)) == ["Good morning."]
    given_up = talk.core.tick(2.0 + 2 * profile_for().limits.start_s)
    assert outcomes(given_up) == [("say_1", "failed")]


def test_a_sentence_without_sound_has_failed() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    silent = [(vl.ResponseCreated(id_), vl.ResponseDone(id_, "completed", "")) for id_ in ("r1", "r2")]
    assert said(talk.hear(*silent[0])) == ["Good morning."]
    assert outcomes(talk.hear(*silent[1])) == [("say_1", "failed")]


def test_a_sentence_whose_response_does_not_come_is_cancelled_and_asked_for_again() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    talk.hear(vl.ResponseCreated("r1"))
    stuck = talk.core.tick(2.0 + profile_for().limits.fallback_s)
    assert sent(stuck)[0] == vl.cancel_response("r1")
    assert said(stuck) == ["Good morning."]
    assert appended(talk.hear(vl.AudioDelta("r1", "a1", SECOND))) == [], "it comes too late"


def test_a_quota_is_waited_for_as_long_as_the_error_says() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    talk.now = 2.0
    refused = vl.ErrorEvent("rate_limit_exceeded", "Please try again in 4s.", "", "say-1")
    assert said(talk.hear(refused)) == []
    assert said(talk.core.tick(5.9)) == []
    assert said(talk.core.tick(6.0)) == ["Good morning."]


def test_a_lost_session_costs_no_sentence_and_no_answer_is_owed_for_it() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    talk.core.session_lost("1006", 2.5)
    assert talk.core.say("2-0", Say("say_2", 0, "Later.", last=True), 2.6) == []
    opened = talk.open()
    assert said(opened) == ["Good morning."]
    assert types(opened) == ["session.update", "response.create"] or types(opened) == ["response.create"]


# -- another relay
def test_the_next_relay_goes_on_with_the_next_sentence() -> None:
    talk = Talk(profile_for(), greeted=True, resumed=True, said="say_1:14")
    open_line(talk)
    assert said(talk.core.say("1-0", TWO, 2.0)) == ["This is Contoso."]


def test_what_is_over_is_not_begun_again_by_its_late_pieces() -> None:
    talk = Talk(profile_for(), greeted=True, resumed=True, said="")
    open_line(talk)
    assert talk.core.say("9-0", Say("say_1", 20, "The rest.", last=True), 2.0) == []
    assert outcomes(talk.core.call_ended(3.0)) == []


def test_what_is_held_is_left_to_another_relay() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    assert said(talk.core.hold_announcements(True, 2.0)) == []
    assert said(speak(talk, "r1", "a1", "Good morning.")) == []
    talk.core.from_caller(Played("a1", 1000, True), 3.0)
    assert talk.core.quiet
    assert said(talk.core.hold_announcements(False, 3.1)) == ["This is Contoso."]


def test_the_end_of_the_call_is_told() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    speak(talk, "r1", "a1", "Good morning.")
    assert outcomes(talk.core.call_left(3.0)) == []
    assert outcomes(talk.core.call_ended(3.0)) == [("say_1", "call_ended")]


def test_audio_of_a_text_goes_to_the_downlink_like_any_other() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    assert Audio("a1", SECOND) in appended(speak(talk, "r1", "a1", "Good morning."))


# -- dropped while the request waits
def test_a_dropped_text_is_not_asked_for_once_the_other_response_ends() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    busy = vl.ErrorEvent("conversation_already_has_active_response", "", "", "say-1")
    talk.hear(vl.ResponseCreated("r_theirs"), busy)
    urgent = talk.core.say("2-0", Say("say_2", 0, "Fire!", last=True, interrupt=True), 2.1)
    assert outcomes(urgent) == [("say_1", "replaced")]
    assert said(talk.hear(vl.ResponseDone("r_theirs", "cancelled", ""))) == ["Fire!"]
    assert said(speak(talk, "r2", "a2", "Fire!")) == []


@pytest.mark.parametrize("status", ["incomplete", "completed"])
def test_a_sentence_without_a_sound_is_said_again(status: str) -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    silent = (vl.ResponseCreated("r1"), vl.ResponseDone("r1", status, ""))
    assert said(talk.hear(*silent)) == ["Good morning."]


def test_a_sentence_that_was_cut_off_within_its_sound_is_not_said_again() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", TWO, 2.0)
    sounds = (vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND), vl.ResponseDone("r1", "incomplete", ""))
    assert said(talk.hear(*sounds)) == ["This is Contoso."]


def test_a_text_of_which_nothing_was_heard_outlives_a_barge_in() -> None:
    talk = open_line(Talk(profile_for()))
    talk.core.say("1-0", Say("say_1", 0, "Good morning.", last=True), 2.0)
    talk.core.say("2-0", Say("say_2", 0, "We are closed.", last=True), 2.0)
    speak(talk, "r1", "a1", "Good morning.")
    talk.core.from_caller(Playing("a1"), 2.1)
    speak(talk, "r2", "a2", "We are closed.")
    talk.hear(vl.SpeechStarted("u1"), vl.SpeechStopped("u1"))
    talk.core.from_caller(Played("a1", 300, False), 2.5)
    talk.core.from_caller(Played("a2", 0, False), 2.5)
    assert outcomes(talk.hear(vl.UserTranscript("u1", "Wait."))) == [("say_1", "interrupted")]
    talk.reply("a3", "r3")
    assert said(talk.hear(vl.ResponseDone("r3", "completed", ""))) + said(talk.core.tick(9.0)) == ["We are closed."]
