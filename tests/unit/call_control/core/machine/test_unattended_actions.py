"""Calls that are answered without an agent, and connected to a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bridge_common.wire.call_record import Status, TransferStage
from bridge_common.wire.entries import HangUp, MediaLost, UplinkMissed, VoiceLost
from call_control.core.machine import call_commands
from call_control.core.machine.call_commands import (
    AddParticipant,
    FindRelay,
    LookUp,
    SetTimer,
    StopMediaStreaming,
    Withdraw,
)
from call_control.core.machine.call_machine import still_wanted
from call_control.core.machine.transition import CallPolicy, awaited
from call_control.core.policy.routing import Accepted, Connected, Routed
from tests.unit.support.call_life import CALL, CONNECTION, callback
from tests.unit.support.people_life import BILLING, CALLER, HUMANS, RULES, TARGETS, PeopleLife

ACCOUNT = "28:orgid:cc123456-0000-4000-8000-000000000001"
FALLBACK = CallPolicy(targets=TARGETS, redirect_target=HUMANS)


def unattended() -> PeopleLife:
    life = PeopleLife(RULES)
    commands = life.on(Routed(Connected(BILLING), "on_behalf", "on behalf of a callee"))
    assert commands == ["SetTimer connect", "Answer"], "no relay gets the call"
    life.done(call_commands.Answer, CONNECTION)
    timers = ["SetTimer length", "SetTimer ring", "SetTimer roster"]
    assert sorted(life.on(callback("CallConnected"))) == ["AddParticipant", *timers]
    life.invited()
    return life


def joined() -> PeopleLife:
    life = unattended()
    life.attach(1)
    assert "StopMediaStreaming" in life.reported("AddParticipantSucceeded", action_id="connect")
    return life


def test_caller_and_person_are_connected_without_an_agent() -> None:
    life = joined()
    command = awaited(life.record, life.waiting(StopMediaStreaming))
    assert isinstance(command, StopMediaStreaming)
    assert still_wanted(life.record, command)
    assert (life.stage, life.outcome("connect")) == (TransferStage.BRIDGED, ("done", "connected"))
    assert life.record.route == "on_behalf"
    for loss in (MediaLost(CALL, 1, 1000), UplinkMissed(CALL, 1), callback("MediaStreamingStopped")):
        assert life.on(loss) == []
    assert not life.waits
    assert life.on(VoiceLost(CALL, 0, "no relay")) == []
    life.on(callback("CallDisconnected", sub_code=560000))
    assert life.record.end_reason == "caller_hung_up"


@pytest.mark.parametrize("refused", [True, False])
def test_a_person_who_is_not_reached_ends_the_call(refused: bool) -> None:
    life = unattended()
    if refused:
        life.reported("AddParticipantFailed", 486, 560486, action_id="connect")
    else:
        life.due(SetTimer.RING)
        life.looked("4:+14255550100")
    assert life.due(SetTimer.CLOSING) == ["SetTimer ending", "End", "HangUp"]
    assert life.record.end_reason == "not_connected"
    assert life.outcome("connect") == ("failed", "busy" if refused else "no_answer")


def test_the_person_leaves_a_call_without_an_agent() -> None:
    life = joined()
    life.now_ms += 3_000
    life.due(SetTimer.ROSTER)
    life.looked("4:+14255550100")
    life.due(SetTimer.CLOSING)
    assert life.record.end_reason == "person_left"


def test_the_caller_leaves_a_call_without_an_agent() -> None:
    life = joined()
    life.now_ms += 3_000
    life.due(SetTimer.ROSTER)
    life.record = replace(life.record, caller=CALLER)
    assert "HangUp" in life.caller_missed(BILLING)
    assert life.record.end_reason == "caller_hung_up"


def test_a_call_without_an_agent_is_hung_up_at_once() -> None:
    life = joined()
    assert "HangUp" in life.act("hang_up", "bye")
    life.on(callback("CallDisconnected"))
    assert life.outcome("bye")[0] == "done"
    other = unattended()
    assert "HangUp" in other.on(HangUp(CALL, "operator", ""))
    longest = joined()
    assert "HangUp" in longest.due(SetTimer.LENGTH)
    assert longest.record.end_reason == "too_long"


def test_a_lost_callconnected_of_a_call_without_an_agent() -> None:
    life = PeopleLife(RULES)
    life.on(Routed(Connected(BILLING), "on_behalf", "on behalf of a callee"))
    life.done(call_commands.Answer, CONNECTION)
    life.due(SetTimer.CONNECT)
    assert "AddParticipant" in life.done(LookUp, CONNECTION, "connected")


# -- a Teams resource account whose agent is not available ------------------------------------------------------------
def ringing_account(rules: CallPolicy = FALLBACK, wait_s: float = 0) -> PeopleLife:
    life = PeopleLife(rules)
    life.record = replace(life.record, caller=CALLER, callee=ACCOUNT)
    life.on(Routed(Accepted("default"), "main", "agent", max_calls=3, wait_s=wait_s))
    return life


def find_none(life: PeopleLife) -> list[str]:
    life.due(SetTimer.CLAIM)
    return life.done(FindRelay, state=FindRelay.FULL)


@pytest.mark.parametrize(
    "no_agent",
    [
        lambda life: life.due(SetTimer.VOICE),
        lambda life: life.on(VoiceLost(CALL, 5, "503")),
        find_none,
    ],
)
def test_the_caller_is_connected_to_human_agents(no_agent: Callable[[PeopleLife], list[str]]) -> None:
    life = ringing_account()
    assert sorted(no_agent(life)) == ["Answer", "SetTimer connect", "Withdraw"], "ACS is not asked to redirect"
    assert (life.named(Withdraw, "rule"), life.record.slot) == ("main", "")
    life.done(call_commands.Answer, CONNECTION)
    life.on(callback("CallConnected"))
    assert life.named(AddParticipant, "target") == HUMANS
    life.invited()
    life.reported("AddParticipantSucceeded", action_id="connect")
    assert (life.stage, life.outcome("connect")) == (TransferStage.BRIDGED, ("done", "connected"))


def test_a_call_whose_wait_is_over_is_connected_to_human_agents() -> None:
    life = ringing_account(wait_s=5)
    assert "Answer" in life.due(SetTimer.WAIT)
    ready = ringing_account(wait_s=5)
    ready.record = replace(ready.record, voice_epoch=5)
    assert ready.due(SetTimer.WAIT) == ["SetTimer voice"], "its voice session is ready"


def test_a_resource_account_without_human_agents_rejects_the_caller() -> None:
    life = ringing_account(CallPolicy())
    assert "Reject" in life.due(SetTimer.VOICE)
    assert life.at(Status.DIVERTING)
