"""Persons who are added, removed, put on hold and muted: each request has one outcome."""

from __future__ import annotations

import pytest

from bridge_common.wire.call_record import Status, TransferStage
from call_control.core.machine.call_commands import (
    AddParticipant,
    CancelAdd,
    HoldParticipant,
    ListParticipants,
    MuteParticipant,
    RemoveParticipant,
    SetTimer,
    UnholdParticipant,
)
from call_control.core.machine.call_machine import still_wanted
from call_control.core.machine.participant_actions import OUTCOME_UNKNOWN
from call_control.core.machine.transition import awaited
from tests.unit.support.call_life import callback
from tests.unit.support.people_life import BILLING, CALLER, SALES, added, bridged, event, look, phoned, screening

COMMANDS: dict[str, type[HoldParticipant | MuteParticipant]] = {"hold": HoldParticipant, "mute": MuteParticipant}


# -- add --------------------------------------------------------------------------------------------------------------
def test_a_person_is_added() -> None:
    life = phoned()
    commands = life.act("add_participant", by="agent", target="billing")
    assert sorted(commands) == ["AddParticipant", "SetTimer ring", "SetTimer roster"]
    assert (life.named(AddParticipant, "target"), life.named(AddParticipant, "action_id")) == (BILLING, "act-1")
    life.invited()
    life.reported("AddParticipantSucceeded")
    assert life.instructed()["people"] == {"names": ["billing"], "caller_on_hold": False}
    assert life.instructed()["outcome"]["state"] == "done"
    assert life.outcome() == ("done", "joined")
    assert (life.stage, life.record.transfer) == (TransferStage.NONE, "")


@pytest.mark.parametrize(("code", "sub_code", "reason"), [(486, 560486, "busy"), (603, 0, "declined")])
def test_a_person_who_cannot_be_added(code: int, sub_code: int, reason: str) -> None:
    life = phoned()
    life.act("add_participant", by="agent", target="billing")
    assert life.reported("AddParticipantFailed", code, sub_code) == ["InstructRelay"]
    assert life.outcome() == ("failed", reason)
    assert life.person().state == "failed"


def test_an_added_person_who_does_not_answer() -> None:
    life = phoned()
    life.act("add_participant", target="billing")
    life.invited()
    life.due(SetTimer.RING)
    assert "CancelAdd" in life.looked(CALLER)
    assert life.outcome() == ("failed", "no_answer")


def test_two_persons_ring_at_the_same_time() -> None:
    life = phoned()
    life.act("add_participant", target="billing")
    life.invited("invitation-1")
    life.now_ms += 5_000
    life.act("add_participant", "act-2", target="sales")
    life.invited("invitation-2")
    life.reported("AddParticipantSucceeded", action_id="act-2")
    assert (life.person(BILLING).state, life.person(SALES).state) == ("ringing", "joined")
    life.due(SetTimer.RING)
    look(life)
    life.looked(CALLER, SALES)
    assert (life.outcome(), life.outcome("act-2")) == (("failed", "no_answer"), ("done", "joined"))


def test_an_added_person_leaves() -> None:
    life = added()
    look(life)
    life.looked(CALLER)
    assert life.instructed() == {"people": {"names": [], "caller_on_hold": False}}
    assert life.person().state == "left"
    assert life.at(Status.CONNECTED)


def test_an_added_person_may_be_added_again_after_leaving() -> None:
    life = added(by="agent")
    life.act("add_participant", "again", by="agent", target="billing")
    assert len(life.record.actions) == 1, "a repetition while the person is in the call"
    look(life)
    life.looked(CALLER)
    assert "AddParticipant" in life.act("add_participant", "again", by="agent", target="billing")


# -- remove -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["billing", "BILLING", BILLING])
def test_a_person_is_removed(name: str) -> None:
    life = added()
    assert "RemoveParticipant" in life.act("remove_participant", participant=name)
    assert life.named(RemoveParticipant, "raw_id") == BILLING
    life.done(RemoveParticipant)
    assert life.outcome() == ("running", "")
    life.reported("RemoveParticipantSucceeded")
    assert life.outcome() == ("done", "removed")
    assert life.person().state == "left"
    assert life.reported("RemoveParticipantFailed", 400, 1) == []


def test_the_list_of_participants_shows_the_removal() -> None:
    life = added()
    life.act("remove_participant", participant="billing")
    life.done(RemoveParticipant)
    life.due(SetTimer.PEOPLE)
    life.looked(CALLER)
    assert life.outcome() == ("done", "removed")


def test_a_removal_that_fails() -> None:
    life = added()
    life.act("remove_participant", participant="billing")
    life.reported("RemoveParticipantFailed", 400, 8501)
    assert life.outcome() == ("failed", "refused 400/8501")
    assert life.person().state == "joined"


def test_a_person_who_was_gone_before_the_removal() -> None:
    life = added()
    life.act("remove_participant", participant="billing")
    life.failed(RemoveParticipant, "gone", gone=True)
    assert life.at(Status.CONNECTED), "the participant is gone, not the call"
    assert life.outcome() == ("failed", "refused gone")
    look(life)
    life.looked(CALLER)
    assert life.person().state == "left"


def test_the_removal_of_the_person_of_a_transfer_returns_to_the_agent() -> None:
    life = bridged("last")
    life.act("remove_participant", "act-2", participant="last")
    life.reported("RemoveParticipantSucceeded", action_id="act-2")
    assert life.instructed()["returned"] == {"name": "last", "reason": "removed", "joined": True}
    assert not life.is_armed(SetTimer.CLOSING)


def test_the_removal_of_a_person_who_is_being_asked() -> None:
    life = screening()
    life.act("remove_participant", "act-2", participant="billing")
    life.reported("RemoveParticipantSucceeded", action_id="act-2")
    assert life.outcome() == ("failed", "removed")


def test_the_removal_of_a_person_who_rings_cancels_the_invitation() -> None:
    life = phoned()
    life.act("add_participant", "add", target="billing")
    life.invited()
    assert "CancelAdd" in life.act("remove_participant", participant="billing")
    assert life.named(CancelAdd, "invitation_id") == "invitation-1"
    assert (life.outcome("add"), life.outcome()) == (("canceled", "removed"), ("done", "removed"))


# -- hold, resume, mute -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("participant", ["", "caller", CALLER])
def test_the_caller_is_put_on_hold_and_resumed(participant: str) -> None:
    arguments = {"participant": participant} if participant else {}
    life = phoned()
    assert sorted(life.act("hold", by="agent", **arguments)) == ["HoldParticipant", "SetTimer people"]
    assert life.named(HoldParticipant, "raw_id") == CALLER
    assert "ListParticipants" in life.done(HoldParticipant)
    life.looked(CALLER)
    assert life.outcome() == ("running", "accepted by ACS"), "the list may lag behind"
    look(life)
    assert life.looked(CALLER, held=CALLER) == ["InstructRelay", "InstructRelay"]
    assert life.instructed()["people"] == {"names": [], "caller_on_hold": True}
    assert (life.outcome(), life.record.caller_on_hold) == (("done", "on_hold"), True)
    assert "UnholdParticipant" in life.act("resume", "act-2", by="agent", **arguments)
    life.done(UnholdParticipant)
    look(life)
    life.looked(CALLER)
    assert life.instructed()["people"] == {"names": [], "caller_on_hold": False}
    assert (life.outcome("act-2"), life.record.caller_on_hold) == (("done", "resumed"), False)
    assert "HoldParticipant" in life.act("hold", "act-3", by="agent", **arguments), "not a repetition"


def test_only_the_roster_shows_the_hold() -> None:
    life = phoned()
    life.act("hold")
    life.failed(HoldParticipant, "unavailable")
    assert life.outcome() == ("running", "")
    life.on(event("ParticipantsUpdated"))
    look(life)
    life.looked(CALLER, held=CALLER)
    assert life.outcome() == ("done", "on_hold")


def test_a_hold_that_fails() -> None:
    life = phoned()
    life.act("hold", by="agent")
    life.done(HoldParticipant)
    life.reported("HoldFailed", 400, 8500)
    assert life.outcome() == ("failed", "refused 400/8500")


def test_a_hold_that_acs_refuses() -> None:
    life = phoned()
    life.act("hold")
    life.failed(HoldParticipant, "8501")
    assert life.outcome() == ("failed", "refused 8501")


def test_a_hold_that_nothing_confirms() -> None:
    life = phoned()
    life.act("hold", by="agent")
    life.done(HoldParticipant)
    life.looked(CALLER)
    life.due(SetTimer.PEOPLE)
    look(life)
    life.looked(CALLER)
    life.due(SetTimer.PEOPLE)
    assert life.outcome() == ("failed", OUTCOME_UNKNOWN)
    assert not life.is_armed(SetTimer.PEOPLE)


def test_a_person_is_muted() -> None:
    life = added()
    life.act("mute", participant="billing")
    life.done(MuteParticipant)
    look(life)
    life.looked(CALLER, BILLING, muted=BILLING)
    assert life.outcome() == ("done", "muted")
    assert life.person().muted
    assert "MuteParticipant" not in life.act("mute", "act-2", participant="billing")
    assert life.outcome("act-2") == ("done", "muted"), "already muted"


def test_a_resume_during_a_hold_is_sent() -> None:
    life = phoned()
    life.act("hold")
    assert "UnholdParticipant" in life.act("resume", "act-2"), "the record does not show the hold yet"


@pytest.mark.parametrize("action", ["hold", "mute"])
def test_a_change_of_a_call_that_has_ended_is_not_sent(action: str) -> None:
    life = phoned()
    life.act(action)
    command = awaited(life.record, life.waiting(COMMANDS[action]))
    assert isinstance(command, HoldParticipant | MuteParticipant)
    assert still_wanted(life.record, command)
    life.on(callback("CallDisconnected", sub_code=560000))
    assert not still_wanted(life.record, command)
    assert life.outcome() == ("failed", "the call has ended")


def test_two_changes_have_their_own_deadlines() -> None:
    life = phoned()
    life.act("hold")
    life.now_ms += 6_000
    life.act("mute", "act-2")
    life.due(SetTimer.PEOPLE)
    life.due(SetTimer.PEOPLE)
    assert (life.outcome()[0], life.outcome("act-2")[0]) == ("failed", "running")
    life.due(SetTimer.PEOPLE)
    if life.is_armed(SetTimer.PEOPLE):
        life.due(SetTimer.PEOPLE)
    assert life.outcome("act-2")[0] == "failed"
    assert any(item.kind == ListParticipants.__name__ for item in life.record.pending)
