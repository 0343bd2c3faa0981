"""Sessions of Foundry voice agents, tested through the conversation."""

from __future__ import annotations

from agent_relay.core.dialog.conversation_commands import MarkGreeted, Ready, ReportGoodbye, RequestAction
from agent_relay.core.dialog.own_greeting import START_S
from agent_relay.core.dialog.session_profile import SessionProfile, session_profile_of
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.session_setup import DEFINED_S
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget
from bridge_common.wire.entries import Audio, ItemEnd, Played, Playing
from tests.unit.support.talk import SECOND, Talk, appended, notices, sent, types

CREATED = vl.SessionCreated("sess_1", "conv_1", 0)


def _profile(*, greets: bool = True, greeting: Greeting | None = None) -> SessionProfile:
    target = VoiceTarget(mode=Mode.VOICE_AGENT, endpoint="https://res", api_version="v1", greets=greets)
    return session_profile_of(AgentProfile(greeting=greeting or Greeting(text="Hello."), actions=("end_call",)), target)


def _greeting(talk: Talk, response: str = "g1") -> list[object]:
    return appended(
        talk.hear(
            vl.ResponseCreated(response),
            vl.AgentTranscriptDone(response, f"{response}-item", "Welcome."),
            vl.AudioDelta(response, f"{response}-item", SECOND),
            vl.ItemDone(response, f"{response}-item"),
            vl.ResponseDone(response, "completed", ""),
        )
    )


def _greeted(profile: SessionProfile) -> Talk:
    """Return a call whose caller has heard the greeting."""
    talk = Talk(profile)
    talk.open()
    _greeting(talk)
    talk.core.caller_audio(talk.now)
    talk.core.greeting_granted(True, talk.now)
    talk.core.from_caller(Playing("g1-item"), talk.now)
    talk.core.from_caller(Played("g1-item", 1000, True), talk.now)
    return talk


def test_the_greeting_is_played_when_the_caller_can_hear_it() -> None:
    talk = Talk(_profile())
    talk.open()
    assert _greeting(talk) == []
    assert MarkGreeted() in talk.core.caller_audio(talk.now)
    commands = talk.core.greeting_granted(True, talk.now)
    assert appended(commands) == [Audio("g1-item", SECOND), ItemEnd("g1-item")]
    assert notices(commands) == ["greeting"]
    assert sent(commands) == [], "no greeting is requested"


def test_a_greeting_that_does_not_begin_is_requested() -> None:
    talk = Talk(_profile())
    talk.open()
    talk.core.caller_audio(talk.now)
    assert sent(talk.core.greeting_granted(True, talk.now)) == []
    assert types(talk.core.tick(talk.now + START_S)) == ["conversation.item.create", "response.create"]


def test_a_greeting_that_the_profile_does_not_know_replaces_its_own() -> None:
    talk = Talk(_profile(greets=False))
    talk.open()
    _greeting(talk)
    talk.core.caller_audio(talk.now)
    commands = talk.core.greeting_granted(True, talk.now)
    assert appended(commands) == [Audio("g1-item", SECOND), ItemEnd("g1-item")]
    assert sent(commands) == []


def test_without_a_greeting_in_the_definition_the_profile_greets() -> None:
    talk = Talk(_profile(greets=False))
    talk.open()
    talk.core.caller_audio(talk.now)
    commands = talk.core.greeting_granted(True, talk.now)
    assert types(commands) == ["conversation.item.create", "response.create"]


def test_a_later_session_is_not_greeted() -> None:
    talk = _greeted(_profile())
    talk.core.session_lost("gone", talk.now)
    assert types(talk.open()) == ["conversation.item.create"], "the history"
    canceled = talk.hear(vl.ResponseCreated("g2"))
    assert [(event["type"], event["response_id"]) for event in sent(canceled)] == [("response.cancel", "g2")]
    assert _greeting(talk, "g2") == []
    talk.turn()
    assert talk.reply()


def test_a_request_follows_the_canceled_greeting() -> None:
    talk = _greeted(_profile())
    talk.turn()
    talk.core.session_lost("gone", talk.now)
    talk.open()
    assert "response.create" not in types(talk.core.tick(talk.now))
    talk.hear(vl.ResponseCreated("g2"))
    assert "response.create" in types(talk.hear(vl.ResponseDone("g2", "cancelled", "client_cancelled")))


def test_a_request_does_not_wait_longer_for_a_greeting() -> None:
    talk = _greeted(_profile())
    talk.turn()
    talk.core.session_lost("gone", talk.now)
    talk.open()
    at = talk.core.next_at()
    assert at is not None
    assert at <= talk.now + START_S
    assert "response.create" in types(talk.core.tick(talk.now + START_S))


def test_a_session_without_session_updated_begins_after_a_while() -> None:
    talk = Talk(_profile())
    talk.core.connected(talk.now)
    talk.hear(CREATED)
    assert not any(isinstance(command, Ready) for command in talk.core.tick(talk.now + DEFINED_S - 0.1))
    assert talk.core.next_at() == talk.now + DEFINED_S
    assert Ready("sess_1", "conv_1") in talk.core.tick(talk.now + DEFINED_S)
    assert talk.core.ready


def test_a_session_begins_with_its_greeting() -> None:
    talk = Talk(_profile())
    talk.core.connected(talk.now)
    talk.hear(CREATED)
    assert _greeting(talk) == []
    assert talk.core.ready
    talk.core.caller_audio(talk.now)
    assert appended(talk.core.greeting_granted(True, talk.now)) == [Audio("g1-item", SECOND), ItemEnd("g1-item")]


def test_an_update_that_is_rejected_late_is_noted() -> None:
    talk = Talk(_profile())
    talk.open()
    late = vl.ErrorEvent("not_supported", "no overrides", "", "update-1")
    assert notices(talk.hear(late)) == ["setting_refused"]
    target = VoiceTarget(mode=Mode.MODEL, endpoint="https://res", api_version="2026-07-15", model="gpt-4.1")
    model = Talk(session_profile_of(AgentProfile(greeting=None), target))
    model.open()
    assert model.hear(late) == [], "a model has confirmed its settings"


def test_a_close_by_the_agent_ends_the_call_after_its_words() -> None:
    talk = _greeted(_profile())
    talk.turn()
    talk.reply()
    commands = talk.core.agent_left(talk.now)
    [request] = [command for command in commands if isinstance(command, RequestAction)]
    assert (request.action, request.arguments) == ("hang_up", '{"reason":"closed_by_agent"}')
    assert not any(isinstance(command, ReportGoodbye) for command in talk.core.tick(talk.now + 5))
    talk.core.from_caller(Playing("a1"), talk.now + 5)
    talk.core.from_caller(Played("a1", 1000, True), talk.now + 6)
    assert ReportGoodbye(request.action_id, "heard") in talk.core.tick(talk.now + 7)


def test_a_close_before_the_caller_hears_the_agent_does_not_end_the_call() -> None:
    talk = Talk(_profile())
    talk.open()
    assert talk.core.agent_left(talk.now) == []


def test_a_close_of_another_service_does_not_end_the_call() -> None:
    target = VoiceTarget(mode=Mode.MODEL, endpoint="https://res", api_version="2026-07-15", model="gpt-4.1")
    talk = Talk(session_profile_of(AgentProfile(greeting=None), target))
    talk.open()
    talk.core.caller_audio(talk.now)
    assert talk.core.agent_left(talk.now) == []
