from __future__ import annotations

import dataclasses

from agent_relay.core.dialog.conversation_commands import Command, Record
from agent_relay.core.dialog.debt import DebtKind
from agent_relay.core.dialog.history import KEYS, TONES, History
from agent_relay.core.dialog.keypad import PAUSE_S
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.typed_keys import TypedKeys
from agent_relay.core.dialog.voice_session import VoiceSession
from agent_relay.core.dialog.wall_clock import WallClock
from agent_relay.core.protocol.session_setup import SessionSetup
from agent_relay.core.protocol.voice_events import create_message
from bridge_common.wire.entries import Notice
from tests.unit.support.talk import plan_for, sent


class Stage:
    def __init__(self, plan: SessionProfile) -> None:
        clock = WallClock()
        session = VoiceSession(SessionSetup(plan.session, plan.essential_session), clock)
        session.configured(1.0)
        self.prompts = Prompts(plan, clock, session)
        self.history = History()
        self.keys = TypedKeys(plan, self.history, self.prompts, clock)


def _notices(commands: list[Command]) -> list[tuple[Notice, bool]]:
    return [(c.entry, c.private) for c in commands if isinstance(c, Record) and isinstance(c.entry, Notice)]


def test_keys_that_belong_together_are_told_to_the_agent_and_an_answer_is_owed() -> None:
    stage = Stage(plan_for())
    assert stage.keys.press("1", 2.0) == []
    assert stage.keys.next_at == 2.0 + PAUSE_S
    assert stage.keys.tick(2.0 + PAUSE_S - 0.1) == []
    commands = stage.keys.tick(2.0 + PAUSE_S)
    assert stage.keys.tick(9.0) == []
    assert sent(commands) == [create_message("user", "[keypad] 1")]
    assert stage.history.replay() == sent(commands)
    assert stage.prompts.owed.debt is not None
    assert stage.prompts.owed.debt.kind is DebtKind.KEYS


def test_people_see_how_many_keys_were_pressed_but_not_which() -> None:
    commands = Stage(plan_for()).keys.press("#", 2.0)
    assert _notices(commands) == [(Notice(TONES, "#", 2000), True), (Notice(KEYS, "1", 2000), False)]


def test_a_profile_may_show_the_keys() -> None:
    commands = Stage(dataclasses.replace(plan_for(), dtmf="transcript")).keys.press("#", 2.0)
    assert _notices(commands) == [(Notice(TONES, "#", 2000), False)]
