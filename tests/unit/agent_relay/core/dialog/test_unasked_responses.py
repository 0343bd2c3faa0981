from __future__ import annotations

from agent_relay.core.dialog.conversation_commands import Command, WallClock
from agent_relay.core.dialog.history import History
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.responses import Purpose
from agent_relay.core.dialog.turns import Turns
from agent_relay.core.dialog.unasked_responses import UnaskedResponses
from agent_relay.core.dialog.voice_session import VoiceSession
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.session_setup import SessionSetup
from tests.unit.support.talk import SECOND, profile_for, sent


def _turns() -> Turns:
    profile, clock = profile_for(), WallClock()
    session = VoiceSession(SessionSetup(profile.session, profile.essential_session), clock)
    session.connected(0.0)
    session.configured(0.0)
    return Turns(profile, History(), Prompts(profile, clock, session), clock)


def _canceled(commands: list[Command]) -> list[object]:
    return [event["response_id"] for event in sent(commands)]


def test_a_response_is_canceled_once() -> None:
    turns = _turns()
    unasked = UnaskedResponses(turns)
    assert _canceled(unasked.canceled(vl.ResponseCreated("r1"))) == ["r1"]
    assert unasked.canceled(vl.AudioDelta("r1", "a1", SECOND)) == []
    assert unasked.cancel_active() == []
    assert turns.voice_event(vl.AudioDelta("r1", "a1", SECOND), 1.0) == []


def test_other_events_and_events_without_a_response_cancel_nothing() -> None:
    unasked = UnaskedResponses(_turns())
    assert unasked.canceled(vl.ResponseDone("r1", "completed", "")) == []
    assert unasked.canceled(vl.AudioDelta("", "a1", SECOND)) == []


def test_a_requested_response_is_not_canceled() -> None:
    turns = _turns()
    unasked = UnaskedResponses(turns)
    turns.responses.ask(vl.create_response(), Purpose.SAY, 1.0)
    assert unasked.canceled(vl.ResponseCreated("r1")) == []
    turns.voice_event(vl.ResponseCreated("r1"), 1.0)
    assert unasked.cancel_active() == []


def test_an_active_response_that_is_no_announcement_is_canceled() -> None:
    turns = _turns()
    turns.voice_event(vl.ResponseCreated("r1"), 1.0)
    assert _canceled(UnaskedResponses(turns).cancel_active()) == ["r1"]
    assert UnaskedResponses(turns).cancel_active() == []
