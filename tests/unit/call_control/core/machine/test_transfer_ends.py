"""An attended transfer after the join: talk, leaving, the return to the agent, and the end of the call at any stage."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from bridge_common.wire.call_record import Status, TransferStage
from bridge_common.wire.entries import HangUp, Restored
from call_control.core.machine import call_commands
from call_control.core.machine.call_commands import (
    AddParticipant,
    CancelAdd,
    HoldParticipant,
    Leave,
    LookUp,
    RemoveParticipant,
    SetTimer,
    Transfer,
    UnholdParticipant,
)
from call_control.core.machine.call_events import CommandDone
from call_control.core.machine.call_machine import still_wanted
from call_control.core.machine.transition import awaited, outstanding
from tests.unit.support.call_life import CALL, callback
from tests.unit.support.people_life import (
    BILLING,
    CALLER,
    SALES,
    PeopleLife,
    back_with_agent,
    bridged,
    dialing,
    event,
    phoned,
    screening,
)


def talked(target: str = "billing", by: str = "operator") -> PeopleLife:
    """Caller and person have talked for a while. The participants are being fetched."""
    life = bridged(target, by)
    for _ in range(2):
        life.due(SetTimer.ROSTER)
        life.looked(CALLER, BILLING)
    life.due(SetTimer.ROSTER)
    return life


UPDATED = event("ParticipantsUpdated")


# -- talk -------------------------------------------------------------------------------------------------------------
def test_the_person_leaves_and_the_agent_returns() -> None:
    life = talked(by="agent")
    assert "InstructRelay" in life.looked(CALLER)
    assert life.instructed() == {"returned": {"name": "billing", "reason": "person_left", "joined": True}}
    assert life.outcome() == ("done", "connected"), "the transfer has succeeded"
    assert back_with_agent(life)
    assert life.act("transfer", "act-2", by="agent", target="billing"), "not a repetition: it leads to a new call"
    assert life.record.transfer == "act-2"


def test_the_call_ends_with_the_person_if_the_target_says_so() -> None:
    life = talked("last")
    life.looked(CALLER)
    assert life.due(SetTimer.CLOSING) == ["SetTimer ending", "End", "HangUp"]
    assert life.record.end_reason == "person_left"


@pytest.mark.parametrize("by", ["caller", "operator"])
def test_the_caller_wants_the_agent_back(by: str) -> None:
    life = bridged()
    assert sorted(life.act("return_to_agent", "act-2", by=by)) == ["InstructRelay", "RemoveParticipant"]
    assert life.instructed() == {"returned": {"name": "billing", "reason": "requested", "joined": True}}
    assert (life.outcome(), life.outcome("act-2")) == (("done", "connected"), ("done", "requested"))
    assert life.person().state == "left"
    assert back_with_agent(life)


@pytest.mark.parametrize("seen", [True, False])
def test_a_caller_on_hold_is_resumed_when_the_agent_returns(seen: bool) -> None:
    life = bridged()
    life.act("hold", "act-2")
    life.done(HoldParticipant)
    if seen and not life.looks():
        life.due(SetTimer.ROSTER)
    if seen:
        life.looked(CALLER, BILLING, held=CALLER)
    assert "UnholdParticipant" in life.act("return_to_agent", "act-3")
    assert life.named(UnholdParticipant, "raw_id") == CALLER
    assert life.outcome("act-2") == ("done", "on_hold")
    [resume] = [one for one in life.record.actions if one.kind == "resume"]
    assert (resume.by, resume.state) == ("transfer", "running")
    command = awaited(life.record, life.waiting(UnholdParticipant))
    assert isinstance(command, UnholdParticipant)
    assert still_wanted(life.record, command)


def test_a_caller_who_was_resumed_before_is_not_resumed_again() -> None:
    life = bridged()
    life.act("hold", "act-2")
    life.done(HoldParticipant)
    life.act("resume", "act-3")
    assert "UnholdParticipant" not in life.act("return_to_agent", "act-4")


def test_a_person_who_was_removed_but_stays_is_removed_again() -> None:
    life = bridged()
    life.act("return_to_agent", "act-2")
    life.failed(RemoveParticipant, "unavailable")
    life.now_ms += 3_000
    life.due(SetTimer.ROSTER)
    assert "RemoveParticipant" in life.looked(CALLER, BILLING)


@pytest.mark.parametrize("make", [dialing, screening])
def test_a_transfer_is_canceled_by_return_to_agent(make: Callable[[], PeopleLife]) -> None:
    life = make()
    commands = life.act("return_to_agent", "act-2")
    assert ("CancelAdd" in commands) or ("RemoveParticipant" in commands)
    assert (life.outcome(), life.outcome("act-2")) == (("canceled", "requested"), ("done", "requested"))
    assert back_with_agent(life)


def test_there_is_nothing_to_return_from() -> None:
    life = phoned()
    life.act("return_to_agent")
    assert life.outcome() == ("failed", "no transfer is under way")


@pytest.mark.parametrize("target", ["billing", "last"])
def test_a_person_who_leaves_before_they_talk_has_not_confirmed(target: str) -> None:
    """The introduction is over, and only then the list shows that the person has left. The outcome of the action is
    known by then, and stays.
    """
    life = bridged(target)
    life.now_ms += 500
    life.on(UPDATED)
    life.looked(CALLER)
    assert life.outcome() == ("done", "connected")
    assert life.instructed()["returned"] == {"name": target, "reason": "not_confirmed", "joined": False}
    assert back_with_agent(life)


@pytest.mark.parametrize("how", ["refused", "gone", "failed", "no effect"])
def test_a_removal_is_repeated_until_the_person_is_gone(how: str) -> None:
    life = bridged()
    life.act("return_to_agent", "act-2")
    operation = f"RemoveParticipant-{life.waiting(RemoveParticipant)}"
    if how in ("refused", "gone"):
        life.failed(RemoveParticipant, "8501", gone=how == "gone")
    else:
        life.done(RemoveParticipant)
        life.on(event("RemoveParticipantFailed", 500, operation_context=operation) if how == "failed" else UPDATED)
    began_ms, removed_ms = life.now_ms, []
    for _ in range(6):
        if not life.looks():
            life.due(SetTimer.ROSTER)
        if "RemoveParticipant" in life.looked(CALLER, BILLING):
            removed_ms.append(life.now_ms - began_ms)
            life.done(RemoveParticipant)
    assert removed_ms[0] <= 2_000
    pauses = [later - earlier for earlier, later in pairwise(removed_ms)]
    assert pauses == sorted(pauses), "the pauses grow"
    assert pauses[-1] <= 15_000
    life.due(SetTimer.ROSTER)
    life.looked(CALLER)
    assert not life.is_armed(SetTimer.ROSTER)


@pytest.mark.parametrize("how", ["refused", "gone", "no effect"])
def test_a_cancellation_is_repeated(how: str) -> None:
    life = dialing()
    life.act("return_to_agent", "act-2")
    if how == "no effect":
        life.done(CancelAdd)
    else:
        life.failed(CancelAdd, "8501", gone=how == "gone")
    life.now_ms += 2_000
    life.due(SetTimer.ROSTER)
    assert "CancelAdd" in life.looked(CALLER)
    assert life.named(CancelAdd, "invitation_id") == "invitation-1"
    life.on(event("CancelAddParticipantSucceeded", invitation_id="invitation-1"))
    life.due(SetTimer.ROSTER)
    assert "CancelAdd" not in life.looked(CALLER)


def test_a_cancellation_is_not_repeated_forever() -> None:
    life = dialing()
    life.act("return_to_agent", "act-2")
    canceled = 0
    while life.is_armed(SetTimer.ROSTER):
        life.due(SetTimer.ROSTER)
        canceled += "CancelAdd" in life.looked(CALLER)
    assert 3 <= canceled <= 12


def test_the_failure_of_a_canceled_invitation_ends_its_repetition() -> None:
    life = dialing()
    life.act("return_to_agent", "act-2")
    life.on(event("AddParticipantFailed", 487, 5234, invitation_id="invitation-1"))
    life.due(SetTimer.ROSTER)
    assert "CancelAdd" not in life.looked(CALLER)


# -- after the join ---------------------------------------------------------------------------------------------------
def test_the_application_leaves_the_call() -> None:
    life = screening("leaver")
    assert "Leave" in life.screened()
    life.done(Leave)
    assert life.on(callback("CallDisconnected", sub_code=7000)) == ["End"]
    assert (life.record.end_reason, life.outcome()) == ("transferred", ("done", "connected"))


def test_a_refused_leave_changes_nothing() -> None:
    life = screening("leaver")
    life.screened()
    life.failed(Leave, "8501")
    assert (life.stage, life.is_armed(SetTimer.TRANSFER)) == (TransferStage.BRIDGED, False)


def test_a_leave_that_acs_does_not_report_is_looked_up() -> None:
    life = screening("leaver")
    life.screened()
    life.done(Leave)
    assert "LookUp" in life.due(SetTimer.TRANSFER)
    life.failed(call_commands.LookUp, "gone", gone=True)
    assert life.at(Status.ENDED)
    assert life.record.end_reason == "transferred"


def test_a_call_that_was_gone_when_leaving_ends() -> None:
    life = screening("leaver")
    life.screened()
    life.failed(Leave, "gone", gone=True)
    life.failed(LookUp, "gone", gone=True)
    assert life.at(Status.ENDED)
    assert life.record.end_reason == "transferred"


def test_the_caller_is_transferred_to_the_person_in_the_call() -> None:
    life = screening("mover")
    assert "Transfer" in life.screened()
    assert (life.named(Transfer, "target"), life.named(Transfer, "transferee")) == (BILLING, CALLER)
    context = f"Transfer-{life.waiting(Transfer)}"
    assert life.on(event("CallTransferAccepted", operation_context=context)) == ["SetTimer ending", "End", "HangUp"]
    assert life.record.end_reason == "transferred"


@pytest.mark.parametrize("how", ["callback", "refusal", "deadline"])
def test_a_bridged_call_whose_transfer_fails_goes_on(how: str) -> None:
    life = screening("mover")
    life.screened()
    context = f"Transfer-{life.waiting(Transfer)}"
    if how == "refusal":
        life.failed(Transfer, "8607")
    else:
        life.done(Transfer)
    if how == "callback":
        life.on(event("CallTransferFailed", 480, 10037, operation_context=context))
    if how == "deadline":
        life.due(SetTimer.TRANSFER)
        life.done(call_commands.LookUp, state="connected")
    assert (life.stage, life.outcome()) == (TransferStage.BRIDGED, ("done", "connected"))
    assert not life.is_armed(SetTimer.TRANSFER)


# -- the caller hangs up ----------------------------------------------------------------------------------------------
def connecting() -> PeopleLife:
    life = phoned()
    life.act("transfer", target="billing")
    return life


@pytest.mark.parametrize(
    ("make", "state", "cancels"),
    [
        (connecting, "failed", False),
        (dialing, "failed", True),
        (screening, "failed", False),
        (bridged, "done", False),
    ],
)
def test_the_caller_hangs_up(make: Callable[[], PeopleLife], state: str, cancels: bool) -> None:
    life = make()
    commands = life.on(callback("CallDisconnected", sub_code=560000))
    assert ("CancelAdd" in commands) is cancels
    assert (life.record.status, life.record.end_reason) == (Status.ENDED, "caller_hung_up")
    assert life.outcome()[0] == state
    assert (life.record.transfer, life.stage) == ("", TransferStage.NONE)
    assert {one.state for one in life.record.participants} <= {"failed", "left"}


@pytest.mark.parametrize(("make", "cancels"), [(dialing, True), (screening, False), (bridged, False)])
def test_only_the_roster_shows_that_the_caller_is_gone(make: Callable[[], PeopleLife], cancels: bool) -> None:
    life = make()
    life.on(event("ParticipantsUpdated"))
    if not life.looks():
        life.due(SetTimer.ROSTER)
    commands = life.caller_missed(*([] if cancels else [BILLING]))
    assert "HangUp" in commands
    assert ("CancelAdd" in commands) is cancels
    assert (life.record.status, life.record.end_reason) == (Status.ENDING, "caller_hung_up")


# -- crashes, hang-ups ------------------------------------------------------------------------------------------------
def test_a_restored_call_repeats_the_invitation_with_the_same_number() -> None:
    life = phoned()
    life.act("transfer", target="billing")
    life.words()
    seq = life.waiting(AddParticipant)
    life.on(Restored(CALL), cause="99-1")
    again = [one for one in outstanding(life.record, "99-1") if isinstance(one, AddParticipant)]
    assert [one.seq for one in again] == [seq]
    life.on(CommandDone(seq, invitation_id="i"))
    assert life.person().invitation_id == "i"


@pytest.mark.parametrize("make", [connecting, dialing, screening])
def test_a_requested_hang_up_cancels_the_transfer_first(make: Callable[[], PeopleLife]) -> None:
    life = make()
    life.act("hang_up", "bye")
    assert set(life.instructed()) == {"returned", "goodbye"}
    assert life.outcome() == ("canceled", "canceled")
    assert life.record.closing == "bye"
    assert "HangUp" in life.words(action_id="bye")


@pytest.mark.parametrize("make", [connecting, dialing, screening])
def test_the_longest_call_cancels_the_transfer_first(make: Callable[[], PeopleLife]) -> None:
    life = make()
    life.due(SetTimer.LENGTH)
    assert life.outcome() == ("canceled", "canceled")
    assert life.record.closing


def test_a_hang_up_ends_the_talk_for_all() -> None:
    life = bridged()
    assert "InstructRelay" in life.act("hang_up", "bye")
    assert life.stage is TransferStage.BRIDGED
    assert life.due(SetTimer.CLOSING) == ["SetTimer ending", "End", "HangUp"]


def test_an_immediate_hang_up_cancels_the_invitation() -> None:
    life = dialing()
    assert "CancelAdd" in life.on(HangUp(CALL, "operator", ""))
    life.on(callback("CallDisconnected"))
    assert life.outcome() == ("failed", "the call has ended")


def test_no_transfer_begins_during_a_goodbye() -> None:
    life = phoned()
    life.act("hang_up", "bye")
    life.act("transfer", target="billing")
    assert life.outcome() == ("failed", "the call is being ended")


def test_a_user_of_teams_is_called_like_a_phone() -> None:
    life = phoned()
    life.act("transfer", target="sales", mode="attended")
    life.words()
    assert life.person(SALES).state == "ringing"
