from __future__ import annotations

import dataclasses
from typing import Literal

import pytest

from agent_relay.core.dialog.conversation_commands import (
    Abandon,
    Command,
    MarkGreeted,
    PhaseChanged,
    Ready,
    Record,
    Send,
)
from agent_relay.core.dialog.voice_session import OPENING_S, Phase
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.keypad_profile import KeypadProfile
from agent_relay.core.protocol.voice_target import Mode
from bridge_common.wire.entries import Dtmf, MediaAttached, Notice, Playing
from tests.unit.support.talk import GREETING, Talk, notices, probes, profile_for, sent, types, updated


def test_a_session_is_configured_before_it_is_ready() -> None:
    talk = Talk(profile_for())
    talk.core.connected(1.0)
    (update,) = talk.hear(vl.SessionCreated("sess_1", "", 0))
    assert isinstance(update, Send)
    assert update.event["type"] == "session.update"
    assert talk.hear(vl.SpeechStarted("u1")) == [], "events before session.updated are ignored"
    phase, ready, *probe = talk.hear(updated("conv_1"))
    assert phase == PhaseChanged("opening", "ready", "session.updated")
    assert ready == Ready("sess_1", "conv_1")
    assert len(probes(probe)) == len(probe) == 1
    assert talk.core.phase is Phase.READY


def test_a_refused_setting_is_left_out_and_noted() -> None:
    talk = Talk(profile_for())
    talk.core.connected(1.0)
    talk.hear(vl.SessionCreated("sess_1", "", 0))
    commands = talk.hear(vl.ErrorEvent("invalid_voice_type", "no such voice", "session.voice", "update-1"))
    assert notices(commands) == ["setting_refused"]
    (update,) = sent(commands)
    assert isinstance(update["session"], dict)
    assert "voice" not in update["session"]


def test_a_session_that_refuses_everything_is_abandoned_for_good() -> None:
    talk = Talk(profile_for())
    talk.core.connected(1.0)
    talk.hear(vl.SessionCreated("sess_1", "", 0))
    refusal = vl.ErrorEvent("invalid_session_update_message", "no", "", "update-1")
    commands = talk.hear(refusal, refusal, refusal)
    assert isinstance(commands[-1], Abandon)
    assert not commands[-1].retry


def test_the_words_against_an_agent_are_kept_as_the_reason() -> None:
    talk = Talk(profile_for(Mode.AGENT))
    talk.core.connected(1.0)
    assert talk.hear(vl.ErrorEvent("agent_initialization_failed", "no such agent", "", "")) == []
    assert talk.core.refusal == "agent_initialization_failed: no such agent"


def test_a_session_that_is_never_ready_is_abandoned() -> None:
    talk = Talk(profile_for())
    talk.core.connected(1.0)
    assert talk.core.next_at() == 1.0 + OPENING_S
    assert talk.core.tick(1.0 + OPENING_S - 0.1) == []
    assert isinstance(talk.core.tick(1.0 + OPENING_S)[-1], Abandon)


def test_the_greeting_waits_for_the_session_the_media_and_the_first_audio() -> None:
    talk = Talk(profile_for(greeting=GREETING))
    assert MarkGreeted() not in talk.open()
    assert talk.core.from_caller(MediaAttached(16000), 2.0) == []
    assert talk.core.caller_audio(2.1) == [MarkGreeted()]
    commands = talk.core.greeting_granted(True, 2.2)
    assert notices(commands) == ["greeting"]
    assert sent(commands) == [{**vl.create_spoken("Welcome!"), "event_id": "greeting-1"}]
    assert talk.core.caller_audio(2.3) == []


def test_the_greeting_does_not_wait_for_audio_for_ever() -> None:
    talk = Talk(profile_for(greeting=GREETING))
    talk.core.from_caller(MediaAttached(16000), 0.75)
    talk.open()
    assert talk.core.next_at() == 1.25
    assert talk.core.tick(1.0) == []
    assert talk.core.tick(1.25) == [MarkGreeted()]


def test_media_before_the_session() -> None:
    talk = Talk(profile_for(greeting=GREETING))
    talk.core.caller_audio(0.5)
    assert talk.open()[-1] == MarkGreeted()


def test_a_call_that_was_greeted_is_not_greeted_again() -> None:
    talk = Talk(profile_for(greeting=GREETING), greeted=True, resumed=True)
    talk.core.caller_audio(0.5)
    assert MarkGreeted() not in talk.open()
    refused = Talk(profile_for(greeting=GREETING))
    refused.core.caller_audio(0.5)
    refused.open()
    assert refused.core.greeting_granted(False, 2.0) == []


def test_tones_become_a_say_of_the_caller() -> None:
    talk = Talk(profile_for())
    talk.open()
    assert talk.core.from_caller(Dtmf("1"), 2.0) == []
    assert talk.core.from_caller(Dtmf("2"), 2.5) == []
    assert talk.core.next_at() == 4.5
    commands = talk.core.tick(4.5)
    assert sent(commands)[0] == vl.create_message("user", "[keypad] 12")
    assert types(commands) == ["conversation.item.create", "response.create"]
    assert notices(commands) == ["tones", "keys"]
    noted = [command.entry for command in commands if isinstance(command, Record)]
    assert [entry.at_ms for entry in noted] == [2000, 2000], "when the first key was pressed: in the order of times"


def typed(dtmf: Literal["agent", "transcript"]) -> list[Command]:
    """Return the commands after the caller has pressed the keys 12#."""
    talk = Talk(dataclasses.replace(profile_for(), dtmf=KeypadProfile(mode=dtmf)))
    talk.open()
    return [command for tone in "12#" for command in talk.core.from_caller(Dtmf(tone), 2.0)]


def test_people_see_how_many_keys_were_pressed_and_the_profile_may_show_which() -> None:
    def written(commands: list[Command]) -> list[tuple[str, str, bool]]:
        records = [c for c in commands if isinstance(c, Record)]
        return [(r.entry.what, r.entry.detail, r.private) for r in records if isinstance(r.entry, Notice)]

    assert written(typed("agent")) == [("tones", "12#", True), ("keys", "3", False)]
    assert written(typed("transcript")) == [("tones", "12#", False)]
    assert sent(typed("agent"))[0] == sent(typed("transcript"))[0] == vl.create_message("user", "[keypad] 12#")


def test_keys_may_be_ignored() -> None:
    talk = Talk(dataclasses.replace(profile_for(), dtmf=KeypadProfile(mode="ignore")))
    talk.open()
    talk.reply()
    talk.core.from_caller(Playing("a1"), 1.5)
    assert talk.core.from_caller(Dtmf("#"), 1.6) == [], "the agent is not interrupted either"
    assert not talk.core.keypad.unsent


@pytest.mark.parametrize("mode", [Mode.AGENT, Mode.MODEL])
def test_tones_during_a_gap_go_to_the_next_session_once(mode: Mode) -> None:
    talk = Talk(profile_for(mode))
    talk.open("conv_1")
    talk.core.session_lost("1006", 2.0)
    assert sent(talk.core.from_caller(Dtmf("#"), 2.1)) == []
    events = sent(talk.open("conv_1"))
    assert [event for event in events if "[keypad] #" in str(event)] == [vl.create_message("user", "[keypad] #")]
    assert events[-1]["type"] == "response.create"


def test_a_session_that_was_configured_before_the_call_is_ready_at_once() -> None:
    talk = Talk(profile_for())
    commands = talk.core.connected_to_configured(updated("conv_1"), ["no such voice"], 1.0)
    assert notices(commands) == ["setting_refused"]
    assert Ready("sess_1", "conv_1") in commands
    assert talk.core.phase is Phase.READY


def test_a_session_that_was_configured_before_forgets_what_was_refused_to_another() -> None:
    talk = Talk(profile_for())
    talk.core.connected(1.0)
    talk.hear(vl.SessionCreated("sess_1", "", 0))
    talk.hear(vl.ErrorEvent("invalid_voice_type", "no such voice", "session.voice", "update-1"))
    assert talk.core.refusal
    talk.core.session_lost("1006", 2.0)
    talk.core.connected_to_configured(updated(), [], 3.0)
    assert talk.core.refusal == ""
