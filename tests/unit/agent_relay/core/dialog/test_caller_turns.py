"""The caller's turns. `test_turns`, `test_owed_turns` and `test_interrupting_texts` test whole conversations."""

from __future__ import annotations

import dataclasses

from agent_relay.core.announcements.announcement_queue import report_of
from agent_relay.core.dialog.caller_speech import LONGEST_S
from agent_relay.core.dialog.caller_turns import ANSWER_DUE_S
from agent_relay.core.dialog.conversation_commands import Append, Record, Send, WallClock
from agent_relay.core.dialog.history import History
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.turns import Turns
from agent_relay.core.dialog.voice_session import VoiceSession
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.session_setup import SessionSetup
from bridge_common.wire.entries import Clear, Dtmf, Notice, Playing, Say
from tests.unit.support.talk import SECOND, Talk, profile_for


def _turns(profile: SessionProfile | None = None) -> Turns:
    profile, clock = profile or profile_for(), WallClock()
    session = VoiceSession(SessionSetup(profile.session, profile.essential_session), clock)
    session.configured(1.0)
    return Turns(profile, History(), Prompts(profile, clock, session), clock)


def _sounding(turns: Turns) -> Turns:
    turns.of_agent.created("r1", 1.0)
    turns.of_agent.delta(vl.AudioDelta("r1", "a1", SECOND), 1.0)
    return turns


def test_speech_comes_first_until_its_answer_is_overdue() -> None:
    turns = _turns()
    assert (turns.caller.speaks, turns.of_caller.answer_due_at) == (False, None)
    turns.of_caller.started(vl.SpeechStarted("u1"), 1.0)
    assert (turns.caller.speaks, turns.of_caller.answer_due_at) == (True, None)
    turns.of_caller.stopped("u1", 2.0)
    assert (turns.caller.speaks, turns.of_caller.answer_due_at) == (False, 2.0 + ANSWER_DUE_S)


def test_speech_interrupts_the_agent_if_the_profile_allows_it() -> None:
    turns = _sounding(_turns())
    assert turns.of_caller.started(vl.SpeechStarted("u1"), 1.1) == [Append(Clear("a1"))]
    assert turns.of_caller.started(vl.SpeechStarted("u1"), 1.2) == [], "reported twice"
    polite = _sounding(_turns(dataclasses.replace(profile_for(), interrupts=False)))
    assert polite.of_caller.started(vl.SpeechStarted("u1"), 1.1) == []


def test_a_key_interrupts_and_cancels() -> None:
    turns = _sounding(_turns())
    assert turns.of_caller.key_pressed(1.1) == [Append(Clear("a1")), Send(vl.cancel_response("r1"))]
    assert turns.of_caller.key_pressed(1.2) == [], "nothing is left to interrupt"


def test_the_beginning_of_an_answer_ends_the_callers_turn() -> None:
    turns = _turns()
    turns.of_caller.started(vl.SpeechStarted("u1"), 1.0)
    turns.of_agent.created("r1", 2.0)
    assert not turns.caller.speaks
    debt = turns.of_caller.answer_due_at
    turns.of_caller.stopped("u1", 9.0)
    assert turns.of_caller.answer_due_at == debt, "its end was implied; the report comes late"


def test_speech_whose_end_is_not_reported_ends() -> None:
    turns = _turns()
    turns.of_caller.started(vl.SpeechStarted("u1"), 1.0)
    turns.of_caller.tick(1.0 + LONGEST_S - 0.1)
    assert turns.caller.speaks
    turns.of_caller.tick(1.0 + LONGEST_S)
    assert not turns.caller.speaks


def test_a_key_in_the_first_sentence_drops_the_announcement_although_its_response_continues() -> None:
    talk = Talk(profile_for())
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.say("5-0", Say("say_1", 0, "Good morning. This is Contoso.", last=True), 1.0)
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    talk.core.from_caller(Playing("a1"), 1.2)
    (report,) = [
        c.entry for c in talk.core.from_caller(Dtmf("1"), 1.4) if isinstance(c, Record) and isinstance(c.entry, Notice)
    ]
    assert report_of(report).outcome == "interrupted"
