"""A call without a voice session: diverted while it rings, else transferred to human agents, else an apology."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge_common.wire.call_record import Status
from bridge_common.wire.entries import HangUp, MediaOpen, VoiceLost, VoiceReady
from call_control.core.machine import call_commands
from call_control.core.machine.call_commands import End, FindRelay, SetTimer
from call_control.core.machine.transition import CallPolicy, armed
from call_control.core.policy.routing import Accepted
from tests.unit.support.call_life import CALL, CONNECTION, RULES, Life, callback, connected, ringing, talking

AGENTS = CallPolicy(redirect_target="4:+18005550000", transfer_target="8:acs:agents")
LOST = VoiceLost(CALL, 5, "budget spent")


def transferring() -> Life:
    life = talking(AGENTS)
    assert life.on(LOST) == ["SetTimer transfer", "Transfer"]
    assert life.at(Status.TRANSFERRING)
    return life


def context_of(life: Life) -> str:
    return f"Transfer-{life.waiting(call_commands.Transfer)}"


# -- ringing: at once if the fleet is full ----------------------------------------------------------------------------
def test_a_full_fleet_diverts_without_waiting_for_the_deadline() -> None:
    life = ringing()
    assert life.due(SetTimer.CLAIM) == ["FindRelay"]
    assert life.done(FindRelay, state=FindRelay.FULL) == ["SetTimer ending", "End", "Redirect"]
    assert life.record.end_reason == "no_capacity"
    assert life.now_ms <= 1_000 + RULES.claim_ms


def test_a_call_that_a_relay_has_waits_for_its_voice() -> None:
    life = ringing()
    life.due(SetTimer.CLAIM)
    assert life.done(FindRelay, state=FindRelay.CLAIMED) == []
    assert armed(life.record, SetTimer.CLAIM) is None
    assert armed(life.record, SetTimer.VOICE) is not None


def test_who_has_room_may_take_a_moment_longer() -> None:
    life = ringing()
    life.due(SetTimer.CLAIM)
    assert life.done(FindRelay, state=FindRelay.UNCLAIMED) == ["SetTimer claim"]
    assert life.on(VoiceReady(CALL, 5)) == ["SetTimer connect", "Answer"]
    assert armed(life.record, SetTimer.CLAIM) is None


# -- connected --------------------------------------------------------------------------------------------------------
def test_a_lost_voice_rings_people_and_the_call_is_theirs() -> None:
    life = transferring()
    assert life.record.status.live, "the caller hears the hold tone meanwhile"
    asked = context_of(life)
    assert life.done(call_commands.Transfer) == []
    assert life.on(callback("CallTransferAccepted", context=asked)) == ["SetTimer ending", "End"]
    assert life.record.end_reason == "transferred"
    assert life.on(callback("CallDisconnected", sub_code=7000)) == []
    assert life.at(Status.ENDED)


@pytest.mark.parametrize("how", ["failed", "refused", "in vain"])
def test_when_nobody_takes_it_the_caller_hears_that_we_are_sorry(how: str) -> None:
    life = transferring()
    if how == "failed":
        asked = life.on(callback("CallTransferFailed", code=486, context=context_of(life)))
    else:
        asked = life.failed(call_commands.Transfer) if how == "refused" else life.due(SetTimer.TRANSFER)
    assert asked == ["SetTimer apology", "End"]
    assert life.record.end_reason == "not_transferred"


def test_a_transfer_of_somebody_else_is_not_ours() -> None:
    life = transferring()
    assert life.on(callback("CallTransferAccepted", context="by-hand")) == []
    assert life.at(Status.TRANSFERRING)


def test_without_people_the_gateway_apologizes_and_then_we_hang_up() -> None:
    life = talking()
    assert life.on(LOST) == ["SetTimer apology", "End"]
    end = life.issued(End)
    assert isinstance(end, End)
    assert end.apologize
    assert life.at(Status.ENDING)
    assert life.on(HangUp(CALL, "media-gateway", "said")) == ["SetTimer ending", "HangUp"]
    assert life.on(HangUp(CALL, "media-gateway", "said")) == []
    assert life.record.end_reason == "voice_lost"


def test_a_gateway_that_never_says_it_leaves_nobody_on_the_line() -> None:
    life = talking()
    life.on(LOST)
    assert life.due(SetTimer.APOLOGY) == ["SetTimer ending", "HangUp"]


def test_a_caller_who_hears_nothing_is_not_apologized_to() -> None:
    life = connected()
    assert life.on(LOST) == ["SetTimer ending", "End", "HangUp"]


@pytest.mark.parametrize("rules", [RULES, AGENTS])
def test_a_relay_that_another_has_followed_does_not_end_the_call(rules: CallPolicy) -> None:
    for life in (ringing(rules), talking(rules)):
        life.record = replace(life.record, voice_epoch=6)
        before = life.record
        assert life.on(LOST) == []
        assert life.record == before
        assert life.on(VoiceLost(CALL, 6, "budget spent")) != []


def test_a_call_that_was_answered_at_once_gets_people_when_no_voice_comes() -> None:
    life = Life(replace(AGENTS, answer_at_once=True))
    life.on(Accepted("default"))
    life.done(call_commands.Answer, CONNECTION)
    life.on(callback("CallConnected"))
    life.record = replace(life.record, uplink_epoch=10)
    life.on(MediaOpen(CALL, 10))
    assert life.due(SetTimer.VOICE) == ["SetTimer transfer", "Transfer"]
