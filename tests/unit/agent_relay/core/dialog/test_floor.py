"""When the agent may speak unprompted, tested through the conversation."""

from __future__ import annotations

from agent_relay.core.dialog.caller_turns import ANSWER_DUE_S
from agent_relay.core.dialog.conversation_commands import MarkGreeted, WallClock
from agent_relay.core.dialog.floor import Floor
from agent_relay.core.dialog.history import History
from agent_relay.core.dialog.hold_policy import AUDIO_WAIT_S, HoldPolicy
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.turns import Turns
from agent_relay.core.dialog.voice_session import VoiceSession
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.session_setup import SessionSetup
from tests.unit.support.talk import GREETING, profile_for


class Stage:
    def __init__(self, *, greeted: bool = False) -> None:
        profile, clock = profile_for(greeting=GREETING), WallClock()
        self.session = VoiceSession(SessionSetup(profile.session, profile.essential_session), clock)
        prompts = Prompts(profile, clock, self.session)
        self.turns = Turns(profile, History(), prompts, clock)
        self.line = HoldPolicy(None, 0.5, media_attached=False, maybe_holding=False)
        self.floor = Floor(self.line, self.session, self.turns, greeted=greeted)

    def free(self, now: float) -> bool:
        """Return whether a waiting sentence is spoken now."""
        at = self.floor.free_at
        return at is not None and now >= at


def test_the_caller_is_greeted_once_when_they_can_hear_it() -> None:
    stage = Stage()
    stage.line.attached(1.0)
    assert stage.floor.greet(9.0) == [], "no voice session"
    stage.session.configured(9.0)
    due = [stage.floor.greeting_at]
    assert stage.floor.greet(1.0) == []
    assert stage.floor.greet(9.0) == [MarkGreeted()]
    assert [*due, stage.floor.greeting_at] == [1.0 + AUDIO_WAIT_S, None]
    assert stage.floor.greeted
    assert stage.floor.greet(9.1) == []


def test_announcements_wait_for_the_greeting() -> None:
    stage = Stage()
    stage.line.audio(1.0)
    stage.session.configured(1.0)
    assert not stage.free(1.0)
    stage.floor.greet(1.0)
    assert not stage.free(1.0)
    assert stage.floor.free_at is None, "an answer has to come, not time"
    stage.floor.greeting_answered()
    assert stage.free(1.0)
    assert stage.floor.free_at == 1.0


def test_announcements_wait_for_the_callers_turn_and_its_answer() -> None:
    stage = Stage(greeted=True)
    stage.line.audio(1.0)
    stage.session.configured(1.0)
    stage.turns.voice_event(vl.SpeechStarted("u1"), 2.0)
    assert (stage.free(2.0), stage.floor.free_at) == (False, None)
    stage.turns.voice_event(vl.SpeechStopped("u1"), 3.0)
    assert (stage.free(3.0), stage.floor.free_at) == (False, 3.0 + ANSWER_DUE_S)
    assert stage.free(3.0 + ANSWER_DUE_S)


def test_nothing_is_announced_without_a_media_socket_or_a_voice_session() -> None:
    stage = Stage(greeted=True)
    stage.line.audio(1.0)
    assert (stage.free(2.0), stage.floor.free_at) == (False, None)
    stage.session.configured(2.0)
    assert stage.free(2.0)
    stage.turns.media_detached(3.0)
    assert (stage.free(3.0), stage.floor.free_at) == (False, None)
