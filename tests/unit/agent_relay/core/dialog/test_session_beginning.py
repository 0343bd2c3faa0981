"""Each voice session of a call begins with the conversation so far."""

from __future__ import annotations

import pytest

from agent_relay.core.dialog.conversation_commands import Append, Command, Ready, Record, WallClock
from agent_relay.core.dialog.history import History
from agent_relay.core.dialog.hold_policy import HoldPolicy
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.session_beginning import SessionBeginning
from agent_relay.core.dialog.voice_session import VoiceSession
from agent_relay.core.protocol.session_setup import SessionSetup
from agent_relay.core.protocol.voice_target import Mode
from bridge_common.wire.entries import Hold, Notice
from tests.unit.support.talk import notices, profile_for, sent, updated


def beginning(
    mode: Mode = Mode.MODEL, *, conversation_id: str = "", reference: str = "", resumed: bool = False
) -> SessionBeginning:
    profile, clock, history = profile_for(mode), WallClock(), History()
    history.caller("u1", "Where is my order?")
    session = VoiceSession(SessionSetup(profile.session, profile.essential_session), clock)
    session.connected(0.0)
    hold = HoldPolicy(None, 0.5, media_attached=True, maybe_holding=resumed)
    return SessionBeginning(
        profile,
        history,
        session,
        Prompts(profile, clock, session),
        hold,
        clock,
        conversation_id=conversation_id,
        reference=reference,
        resumed=resumed,
    )


def ids(commands: list[Command]) -> list[str]:
    return [command.conversation_id for command in commands if isinstance(command, Ready)]


def test_a_new_call_begins_with_an_empty_conversation() -> None:
    start = beginning()
    commands = start.begin(updated("conv_1"), 1.0)
    assert (ids(commands), sent(commands), notices(commands)) == (["conv_1"], [], [])
    assert start.conversation_id == "conv_1"


def test_the_hold_tone_of_the_previous_relay_ends() -> None:
    assert Append(Hold(False)) in beginning(resumed=True).begin(updated(), 1.0)


@pytest.mark.parametrize(
    ("mode", "known", "reported", "replayed"),
    [
        (Mode.MODEL, "", "", True),
        (Mode.AGENT, "conv_1", "conv_1", False),
        (Mode.AGENT, "conv_1", "", False),
        (Mode.AGENT, "conv_1", "conv_2", True),
        (Mode.AGENT, "", "conv_2", True),
    ],
)
def test_a_conversation_that_the_service_does_not_know_is_replayed(
    mode: Mode, known: str, reported: str, replayed: bool
) -> None:
    start = beginning(mode, conversation_id=known, resumed=True)
    commands = start.begin(updated(reported), 1.0)
    assert [event["type"] for event in sent(commands)] == ["conversation.item.create"] * replayed
    resumed = [one.entry for one in commands if isinstance(one, Record)]
    assert resumed == [Notice("voice_resumed", "replayed" if replayed else "continued", 1000)]
    assert start.conversation_id == (reported or known)


def test_a_conversation_of_another_resource_is_replayed() -> None:
    start = beginning(Mode.AGENT, conversation_id="conv_1", resumed=True)
    start.conversation_unknown()
    assert [event["type"] for event in sent(start.begin(updated("conv_2"), 1.0))] == ["conversation.item.create"]
    assert start.conversation_id == "conv_2"


def test_every_session_gets_the_reference() -> None:
    start = beginning(reference="7QK4-M2X9-RD")
    for _ in range(2):
        assert "7QK4-M2X9-RD" in str(sent(start.begin(updated(), 1.0))[-1])
