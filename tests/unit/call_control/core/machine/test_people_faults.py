"""Requests that are not possible now have a clear reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from call_control.core.machine.call_commands import SetTimer
from call_control.core.policy.transfer_targets import TransferTarget
from tests.unit.support.people_life import (
    BILLING,
    CALLER,
    RULES,
    PeopleLife,
    bridged,
    dialing,
    moving,
    phoned,
    screening,
)

KNOWN = "billing, sales, leaver, mover, last"


@pytest.mark.parametrize("action", ["transfer", "add_participant"])
def test_an_unknown_target_names_the_known_ones(action: str) -> None:
    life = phoned()
    assert life.act(action, by="agent", target="support") == ["InstructRelay"]
    assert life.outcome() == ("failed", f"unknown target 'support'; use {KNOWN}")
    assert life.instructed()["outcome"]["reason"] == life.outcome()[1]
    assert life.record.participants == ()


def test_a_policy_without_targets() -> None:
    life = phoned(replace(RULES, targets={}))
    life.act("transfer", target="billing")
    assert life.outcome() == ("failed", "unknown target 'billing'; the routing policy has no targets")


@pytest.mark.parametrize(
    ("raw_id", "name"), [(CALLER, "the caller"), ("4:+18005551212", "the called number"), (CALLER.upper(), "")]
)
def test_the_parties_of_the_call_are_no_targets(raw_id: str, name: str) -> None:
    life = phoned(replace(RULES, targets={"own": TransferTarget("own", raw_id)}))
    life.act("transfer", target="own")
    assert life.outcome() == ("failed", "own is a party of this call"), name


def test_a_second_transfer_while_one_is_under_way() -> None:
    life = dialing(by="agent")
    life.act("transfer", "act-2", by="agent", target="sales")
    assert life.outcome("act-2") == ("failed", "a transfer to billing is under way; wait for its outcome")
    assert life.instructed()["outcome"]["target"] == "sales", "the agent must know which of the two has failed"
    life.act("transfer", "act-3", target="sales")
    assert life.outcome("act-3") == ("failed", "a transfer to billing is under way; end it with return_to_agent")


def test_a_blind_transfer_cannot_be_ended_by_an_operator() -> None:
    life = moving()
    life.act("transfer", "act-2", target="billing")
    assert life.outcome("act-2") == ("failed", "a transfer to sales is under way; wait for its outcome")


def test_an_agent_that_asks_again_has_the_first_transfer() -> None:
    life = dialing(by="agent")
    assert life.act("transfer", "act-2", by="agent", target="billing") == []
    assert len(life.record.actions) == 1


def test_a_repeated_id_is_one_action() -> None:
    life = dialing()
    assert life.act("transfer", target="billing") == []
    assert life.step.ignored


@pytest.mark.parametrize(
    ("life", "reason"),
    [(dialing(), "billing is already being called"), (screening(), "billing is already in the call")],
)
def test_a_target_that_is_called_or_in_the_call(life: PeopleLife, reason: str) -> None:
    life.act("add_participant", "act-2", target="billing")
    assert life.outcome("act-2") == ("failed", reason)


@pytest.mark.parametrize("action", ["hold", "resume", "mute", "remove_participant"])
def test_a_participant_who_is_not_in_the_call(action: str) -> None:
    life = bridged()
    life.act(action, "act-2", participant="sales")
    reason = "'sales' is not in the call; its participants are caller, billing"
    assert life.outcome("act-2") == ("failed", reason)


def test_numbers_of_strangers_are_not_part_of_a_reason() -> None:
    life = bridged()
    life.due(SetTimer.ROSTER)
    life.looked(CALLER, BILLING, "4:+14255550199")
    life.act("mute", "act-2", participant="sales")
    reason = "'sales' is not in the call; its participants are caller, billing, another participant"
    assert life.outcome("act-2") == ("failed", reason)


def test_a_person_who_rings_cannot_be_put_on_hold() -> None:
    life = dialing()
    life.act("hold", "act-2", participant="billing")
    assert life.outcome("act-2")[0] == "failed"


@pytest.mark.parametrize("name", ["caller", CALLER])
def test_the_caller_cannot_be_removed(name: str) -> None:
    life = phoned()
    life.act("remove_participant", participant=name)
    assert life.outcome() == ("failed", "the caller cannot be removed; use hang_up")
