from __future__ import annotations

from agent_relay.core.dialog.conversation_commands import Abandon, PhaseChanged, Send, WallClock
from agent_relay.core.dialog.voice_session import OPENING_S, Phase, VoiceSession
from agent_relay.core.protocol.session_setup import SessionSetup
from agent_relay.core.protocol.voice_events import ErrorEvent, SessionCreated


def _session() -> VoiceSession:
    return VoiceSession(SessionSetup({"voice": "ava"}, {}), WallClock())


def test_every_change_of_the_phase_is_reported_with_its_reason() -> None:
    session = _session()
    assert session.closed("refused", 0.5) == [], "it was closed before"
    assert session.connected(1.0) == [PhaseChanged("closed", "opening", "connected")]
    assert session.configured(2.0) == [PhaseChanged("opening", "ready", "session.updated")]
    assert session.ready
    assert session.closed("1006", 3.0) == [PhaseChanged("ready", "closed", "1006")]
    assert session.phase is Phase.CLOSED


def test_it_has_to_open_in_time() -> None:
    session = _session()
    session.connected(1.0)
    assert session.next_at(None) == 1.0 + OPENING_S
    assert session.tick(None, 1.0 + OPENING_S - 0.01) == []
    (abandon,) = session.tick(None, 1.0 + OPENING_S)
    assert isinstance(abandon, Abandon)
    session.configured(1.0 + OPENING_S)
    assert session.next_at(None) is None


def test_the_refusal_is_that_of_the_session_that_opens() -> None:
    session = _session()
    session.connected(1.0)
    session.opening(SessionCreated("sess_1", "", 0), 1.0)
    session.opening(ErrorEvent("agent_initialization_failed", "no such agent", "", ""), 1.1)
    assert session.refusal == "agent_initialization_failed: no such agent"
    session.closed("1008", 1.2)
    assert session.refusal == ""
    session.connected(2.0)
    assert session.refusal == ""


def test_only_a_ready_session_from_which_something_is_due_is_probed() -> None:
    session = _session()
    session.connected(1.0)
    session.configured(2.0)
    session.probe(2.0)
    assert session.answers_probe(ErrorEvent("item_retrieve_invalid_item_id", "No item", "item_id", "probe-1"), 2.1)
    assert session.tick(None, 60.0) == []
    (probe,) = session.tick(59.0, 60.1)
    assert isinstance(probe, Send)
