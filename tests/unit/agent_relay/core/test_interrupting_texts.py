"""Announcements with `interrupt`: they override the agent and its profile (docs/api.md)."""

from __future__ import annotations

import pytest

from agent_relay.core.dialog.conversation_commands import Command
from agent_relay.core.dialog.session_profile import SessionProfile, session_profile_of
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget
from bridge_common.wire.entries import Clear, Played, Playing, Say
from tests.unit.support.talk import SECOND, Talk, appended, outcomes, profile_for, sent, types

FIRE = Say("say_2", 0, "There is a fire. Leave.", last=True, interrupt=True)


def open_line(profile: SessionProfile) -> Talk:
    talk = Talk(profile)
    talk.core.caller_audio(0.5)
    talk.open()
    return talk


def asked(commands: list[Command]) -> list[str]:
    """Return the texts whose speech is requested."""
    texts = [str(event) for event in sent(commands) if event["type"] == "response.create"]
    return [next((one for one in ("recorded", "fire", "Leave") if one in text), text) for text in texts]


def spoken(talk: Talk, response: str, item: str) -> list[Command]:
    return talk.hear(
        vl.ResponseCreated(response),
        vl.AudioDelta(response, item, SECOND),
        vl.ResponseDone(response, "completed", ""),
    )


@pytest.mark.parametrize("heard", [False, True])
def test_a_greeting_that_the_caller_cannot_interrupt_is_cut_for_good(heard: bool) -> None:
    target = VoiceTarget(mode=Mode.MODEL, endpoint="https://res", api_version="2026-07-15", model="gpt-4.1")
    greeting = Greeting(text="This call is recorded.", interruptible=False)
    talk = open_line(session_profile_of(AgentProfile(greeting=greeting), target))
    assert asked(talk.core.greeting_granted(True, 1.0)) == ["recorded"]
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    if heard:
        talk.core.from_caller(Playing("a1"), 1.2)
    assert talk.core.say("1-0", Say("say_1", 0, "Wait.", last=True), 1.3) == [], "without `interrupt` it waits"
    assert talk.core.withholds_audio
    stopped = talk.core.say("2-0", FIRE, 1.4)
    assert appended(stopped) == [Clear("a1")]
    assert "response.cancel" in types(stopped)
    stopped += talk.core.from_caller(Played("a1", 200 if heard else 0, False), 1.5)
    stopped += talk.hear(vl.ResponseDone("r1", "cancelled", "client_cancelled"))
    assert asked(stopped) == ["fire"]
    rest = spoken(talk, "r2", "a2") + spoken(talk, "r3", "a3")
    rest += talk.core.from_caller(Played("a2", 1000, True), 3.0) + talk.core.from_caller(Played("a3", 1000, True), 4.0)
    rest += talk.core.tick(100.0)
    assert asked(rest) == ["Leave"], "neither the greeting nor its rest is asked for again"
    assert outcomes(stopped + rest) == []
    assert not talk.core.withholds_audio, "the agent hears the caller again"


def test_a_greeting_that_was_only_requested_is_not_begun() -> None:
    target = VoiceTarget(mode=Mode.MODEL, endpoint="https://res", api_version="2026-07-15", model="gpt-4.1")
    greeting = Greeting(text="This call is recorded.", interruptible=False)
    talk = open_line(session_profile_of(AgentProfile(greeting=greeting), target))
    talk.core.greeting_granted(True, 1.0)
    assert talk.core.say("2-0", FIRE, 1.1) == [], "there is nothing to stop yet"
    begun = talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    assert types(begun) == ["response.cancel"]
    assert appended(begun) == []
    assert asked(talk.hear(vl.ResponseDone("r1", "cancelled", "client_cancelled"))) == ["fire"]
    rest = spoken(talk, "r2", "a2") + spoken(talk, "r3", "a3") + talk.core.tick(100.0)
    assert asked(rest) == ["Leave"]
    assert not talk.core.withholds_audio


def test_the_rest_of_an_interrupted_answer_is_not_owed() -> None:
    talk = open_line(profile_for())
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    talk.core.from_caller(Playing("a1"), 1.2)
    commands = talk.core.say("2-0", FIRE, 1.4)
    commands += talk.core.from_caller(Played("a1", 200, False), 1.5)
    commands += talk.hear(vl.ResponseDone("r1", "cancelled", "client_cancelled"))
    commands += spoken(talk, "r2", "a2") + spoken(talk, "r3", "a3")
    commands += talk.core.from_caller(Played("a2", 1000, True), 3.0)
    commands += talk.core.from_caller(Played("a3", 1000, True), 4.0)
    commands += talk.core.tick(100.0)
    assert asked(commands) == ["fire", "Leave"]
    assert outcomes(commands) == []


def test_words_of_the_caller_are_answered_although_a_text_came_between() -> None:
    talk = open_line(profile_for())
    talk.core.say("1-0", Say("say_1", 0, "One. Two.", last=True), 1.0)
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    talk.hear(vl.SpeechStarted("u1"), vl.SpeechStopped("u1"))
    talk.core.say("2-0", FIRE, 1.4)
    assert outcomes(talk.core.tick(1.0 + profile_for().limits.start_s)) == [("words", "asked_again")]


def test_a_sentence_that_was_requested_before_an_interrupting_text_is_not_heard() -> None:
    talk = open_line(profile_for())
    talk.core.say("1-0", Say("say_1", 0, "One. Two.", last=True), 1.0)
    talk.core.say("2-0", FIRE, 1.1)
    assert types(talk.hear(vl.ResponseCreated("r1"))) == ["response.cancel"]
