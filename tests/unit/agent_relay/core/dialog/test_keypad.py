from __future__ import annotations

import dataclasses

from agent_relay.core.dialog.conversation_commands import Command, Record, WallClock
from agent_relay.core.dialog.debt import DebtKind
from agent_relay.core.dialog.history import KEYS, TONES, History
from agent_relay.core.dialog.keypad import Keypad, KeyReport
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.voice_session import VoiceSession
from agent_relay.core.protocol.keypad_profile import MOST_KEYS, KeypadProfile
from agent_relay.core.protocol.session_setup import SessionSetup
from agent_relay.core.protocol.voice_events import create_message
from bridge_common.wire.entries import Notice
from tests.unit.support.talk import profile_for, sent

PAUSE_S = KeypadProfile().pause_s


class Stage:
    def __init__(self, profile: SessionProfile) -> None:
        clock = WallClock()
        session = VoiceSession(SessionSetup(profile.session, profile.essential_session), clock)
        session.configured(1.0)
        self.prompts = Prompts(profile, clock, session)
        self.history = History()
        self.keys = Keypad(profile, KeyReport(self.history, self.prompts, clock))


def _notices(commands: list[Command]) -> list[tuple[Notice, bool]]:
    return [(c.entry, c.private) for c in commands if isinstance(c, Record) and isinstance(c.entry, Notice)]


def test_keys_that_belong_together_are_sent_to_the_agent_and_an_answer_is_owed() -> None:
    stage = Stage(profile_for())
    assert stage.keys.idle
    assert stage.keys.press("1", 2.0) == []
    assert stage.keys.next_at == 2.0 + PAUSE_S
    assert (stage.keys.idle, stage.keys.unsent, stage.keys.mutes_caller) == (False, True, False)
    assert stage.keys.tick(2.0 + PAUSE_S - 0.1) == []
    commands = stage.keys.tick(2.0 + PAUSE_S)
    assert stage.keys.tick(9.0) == []
    assert (stage.keys.idle, stage.keys.unsent) == (True, False)
    assert sent(commands) == [create_message("user", "[keypad] 1")]
    assert stage.history.replay() == sent(commands)
    assert stage.prompts.owed.debt is not None
    assert stage.prompts.owed.debt.kind is DebtKind.KEYS


def test_readers_of_the_transcript_see_how_many_keys_were_pressed_but_not_which() -> None:
    commands = Stage(profile_for()).keys.press("#", 2.0)
    assert _notices(commands) == [(Notice(TONES, "#", 2000), True), (Notice(KEYS, "1", 2000), False)]


def test_a_profile_may_show_the_keys() -> None:
    profile = dataclasses.replace(profile_for(), dtmf=KeypadProfile(mode="transcript"))
    assert _notices(Stage(profile).keys.press("#", 2.0)) == [(Notice(TONES, "#", 2000), False)]


def test_a_hash_ends_an_entry_at_once() -> None:
    keys = Stage(profile_for()).keys
    assert [sent(keys.press(tone, 1.0)) for tone in "12#"] == [[], [], [create_message("user", "[keypad] 12#")]]
    assert keys.next_at is None


def test_the_limits_of_the_profile_count() -> None:
    limits = KeypadProfile(end_key="*", pause_s=3.5, max_digits=3)
    keys = Stage(dataclasses.replace(profile_for(), dtmf=limits)).keys
    assert [sent(keys.press(tone, 1.0)) for tone in "1*"] == [[], [create_message("user", "[keypad] 1*")]]
    assert [sent(keys.press(tone, 2.0)) for tone in "1#2"] == [[], [], [create_message("user", "[keypad] 1#2")]]
    keys.press("1", 6.0)
    assert keys.next_at == 9.5
    assert sent(keys.tick(9.5)) == [create_message("user", "[keypad] 1")]


def test_a_stuck_key_does_not_fill_the_memory() -> None:
    keys = Stage(profile_for()).keys
    entry = [keys.press("1", 1.0) for _ in range(MOST_KEYS)][-1]
    assert sent(entry) == [create_message("user", f"[keypad] {'1' * MOST_KEYS}")]
