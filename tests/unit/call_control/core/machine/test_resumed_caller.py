"""A caller on hold is resumed before a transfer, and before a goodbye."""

from __future__ import annotations

import pytest

from call_control.core.machine.call_commands import HoldParticipant, UnholdParticipant
from call_control.core.machine.call_machine import still_wanted
from call_control.core.machine.transition import awaited
from tests.unit.support.people_life import CALLER, PeopleLife, bridged, dialing, moving, phoned, screening


def held() -> PeopleLife:
    life = phoned()
    life.act("hold", "hold-1", participant="caller")
    life.done(HoldParticipant)
    life.looked(CALLER, held=CALLER)
    assert life.record.caller_on_hold
    return life


@pytest.mark.parametrize("target", ["billing", "sales", "mover"])
def test_a_transfer_resumes_the_caller(target: str) -> None:
    life = held()
    assert "UnholdParticipant" in life.act("transfer", target=target)
    assert life.named(UnholdParticipant, "raw_id") == CALLER
    command = awaited(life.record, life.waiting(UnholdParticipant))
    assert isinstance(command, UnholdParticipant)
    assert still_wanted(life.record, command)
    life.done(UnholdParticipant)
    life.looked(CALLER)
    assert not life.record.caller_on_hold
    assert [one.reason for one in life.record.actions if one.kind == "resume"] == ["resumed"]


def test_a_hold_that_acs_has_not_carried_out_is_undone() -> None:
    life = phoned()
    life.act("hold", "hold-1", participant="caller")
    assert "UnholdParticipant" in life.act("transfer", target="billing")


def test_a_caller_who_is_not_on_hold_is_not_resumed() -> None:
    assert "UnholdParticipant" not in phoned().act("transfer", target="billing")


def test_a_goodbye_resumes_the_caller() -> None:
    life = held()
    assert "UnholdParticipant" in life.act("hang_up", by="agent", reason="done")


@pytest.mark.parametrize("life", [dialing(), screening(), moving()])
def test_the_caller_is_not_put_on_hold_while_being_connected(life: PeopleLife) -> None:
    assert "HoldParticipant" not in life.act("hold", "act-2", participant="caller")
    reason = "the caller is being connected; use return_to_agent first, or wait"
    assert life.outcome("act-2") == ("failed", reason)


def test_the_caller_is_put_on_hold_during_the_conversation() -> None:
    assert "HoldParticipant" in bridged().act("hold", "act-2", participant="caller")
