"""An attended transfer: words, call of the person, screening, talk, and every way back to the agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bridge_common.wire.call_record import Status, TransferStage
from bridge_common.wire.entries import HangUp, Restored
from call_control.core.machine import call_commands
from call_control.core.machine.call_commands import (
    AddParticipant,
    CancelAdd,
    InstructRelay,
    Leave,
    RemoveParticipant,
    SetTimer,
    StartDtmf,
    Transfer,
)
from call_control.core.machine.call_events import CommandDone, CommandFailed
from call_control.core.machine.call_machine import still_wanted
from call_control.core.machine.transition import awaited, outstanding
from tests.unit.support.call_life import CALL, callback
from tests.unit.support.people_life import (
    BILLING,
    CALLER,
    RULES,
    SALES,
    PeopleLife,
    back_with_agent,
    bridged,
    dialing,
    event,
    phoned,
    screening,
)


# -- the course without faults ----------------------------------------------------------------------------------------
def test_an_attended_transfer_from_words_to_talk() -> None:
    life = phoned()
    assert sorted(life.act("transfer", by="agent", target="billing")) == ["InstructRelay", "SetTimer words"]
    assert life.instructed() == {"connecting": {"interruptible": True, "name": "billing"}}
    assert (life.stage, life.record.transfer) == (TransferStage.CONNECTING, "act-1")
    assert sorted(life.words()) == ["AddParticipant", "InstructRelay", "SetTimer ring"]
    assert life.instructed() == {"waiting": {"name": "billing"}}
    assert (life.named(AddParticipant, "target"), life.named(AddParticipant, "ring_s")) == (BILLING, 30)
    assert life.named(AddParticipant, "action_id") == "act-1"
    assert (life.stage, life.person().state) == (TransferStage.DIALING, "ringing")
    assert life.invited() == []
    assert life.person().invitation_id == "invitation-1"
    assert "StartDtmf" in life.reported("AddParticipantSucceeded")
    assert life.named(StartDtmf, "raw_id") == BILLING
    assert life.instructed() == {"screening": {"name": "billing"}}
    assert life.person().state == "joined"
    assert life.outcome() == ("running", "")
    assert life.screened() == ["InstructRelay"]
    assert life.instructed() == {"bridged": {"name": "billing"}}
    assert life.outcome() == ("done", "connected")
    assert (life.stage, life.record.transfer) == (TransferStage.BRIDGED, "act-1")
    assert not life.is_armed(SetTimer.SCREENING)
    assert not life.is_armed(SetTimer.RING)


def test_an_operator_s_words_are_not_interruptible() -> None:
    life = phoned()
    life.act("transfer", target="billing")
    assert life.instructed() == {"connecting": {"interruptible": False, "name": "billing"}}
    assert "AddParticipant" in life.words("interrupted"), "the operator's transfer continues"


@pytest.mark.parametrize("failed", [True, False])
def test_words_that_are_not_spoken_do_not_stop_the_transfer(failed: bool) -> None:
    life = phoned()
    life.act("transfer", by="agent", target="billing")
    commands = life.words("failed") if failed else life.due(SetTimer.WORDS)
    assert "AddParticipant" in commands
    assert life.words() == [], "the late report changes nothing"


def test_the_caller_interrupts_the_words_of_the_agent() -> None:
    life = phoned()
    life.act("transfer", by="agent", target="billing")
    assert life.words("interrupted") == ["InstructRelay", "InstructRelay"]
    assert life.instructed()["outcome"]["state"] == "canceled"
    assert life.instructed()["returned"] == {"name": "billing", "reason": "interrupted", "joined": False}
    assert life.outcome() == ("canceled", "the caller is still talking")
    assert back_with_agent(life)
    assert life.act("transfer", "act-2", by="agent", target="billing"), "the agent may ask again at once"


def test_the_topic_reaches_the_relay() -> None:
    life = phoned()
    life.act("transfer", target="billing", topic="refund", summary="wants a refund")
    assert life.instructed()["connecting"]["topic"] == "refund"
    life.words()
    life.reported("AddParticipantSucceeded")
    assert life.instructed()["screening"] == {"name": "billing", "topic": "refund"}


def test_words_of_another_action_change_nothing() -> None:
    life = phoned()
    life.act("transfer", target="billing")
    assert life.words(action_id="act-2") == []
    assert life.stage is TransferStage.CONNECTING


# -- the person does not come -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("code", "sub_code", "reason"),
    [
        (486, 560486, "busy"),
        (603, 0, "declined"),
        (480, 560480, "no_answer"),
        (404, 560404, "wrong_number"),
        (487, 5234, "unknown"),
    ],
)
def test_the_agent_returns_and_learns_why(code: int, sub_code: int, reason: str) -> None:
    life = dialing(by="agent")
    assert life.reported("AddParticipantFailed", code, sub_code) == ["InstructRelay"], "nothing is left to cancel"
    assert life.instructed() == {"returned": {"name": "billing", "reason": reason, "joined": False}}
    assert life.outcome() == ("failed", reason)
    assert life.person().state == "failed"
    assert back_with_agent(life)


@pytest.mark.parametrize(("code", "reason"), [("8523", "refused 8523"), ("auth", "refused auth")])
def test_acs_refuses_the_invitation(code: str, reason: str) -> None:
    life = phoned()
    life.act("transfer", target="billing")
    life.words()
    life.failed(AddParticipant, code)
    assert life.outcome() == ("failed", reason)
    assert back_with_agent(life)


def test_an_invitation_without_a_response_may_have_been_sent() -> None:
    life = phoned()
    life.act("transfer", target="billing")
    life.words()
    assert life.failed(AddParticipant, "unavailable") == []
    assert life.person().state == "ringing"
    life.reported("AddParticipantSucceeded")
    assert life.person().state == "joined"


def test_nothing_is_reported_until_the_deadline() -> None:
    life = dialing()
    assert "ListParticipants" in life.due(SetTimer.RING)
    assert life.stage is TransferStage.DIALING, "the participants decide"
    assert "CancelAdd" in life.looked(CALLER)
    assert life.named(CancelAdd, "invitation_id") == "invitation-1"
    assert life.outcome() == ("failed", "no_answer")
    assert back_with_agent(life)


def test_the_participants_show_at_the_deadline_that_the_person_has_joined() -> None:
    life = dialing()
    life.due(SetTimer.RING)
    life.looked(CALLER, BILLING)
    assert life.stage is TransferStage.SCREENING


def test_the_participants_cannot_be_fetched_at_the_deadline() -> None:
    life = dialing()
    life.due(SetTimer.RING)
    life.failed(call_commands.ListParticipants, "unavailable")
    assert "CancelAdd" in life.due(SetTimer.RING)
    assert life.outcome() == ("failed", "no_answer")


def test_a_target_that_left_the_policy_meanwhile() -> None:
    life = phoned()
    life.act("transfer", by="agent", target="billing")
    life.rules = replace(RULES, targets={})
    assert life.words() == ["InstructRelay"]
    assert life.outcome() == ("failed", "the routing policy no longer has the target")
    assert back_with_agent(life)


def test_an_invitation_whose_id_arrives_after_the_failure_is_canceled() -> None:
    life = phoned()
    life.act("transfer", target="billing")
    life.words()
    life.act("return_to_agent", "act-2")
    assert life.person().state == "failed"
    assert life.invited() == ["CancelAdd"]


def test_an_invitation_that_was_not_sent_yet_is_not_sent_any_more() -> None:
    life = phoned()
    life.act("transfer", target="billing")
    life.words()
    command = awaited(life.record, life.waiting(AddParticipant))
    assert isinstance(command, AddParticipant)
    assert still_wanted(life.record, command)
    life.act("return_to_agent", "act-2")
    assert not still_wanted(life.record, command)
    assert life.on(CommandFailed(command.seq, "overtaken")) == []
    assert life.outcome() == ("canceled", "requested")


# -- the person was given up, but comes -------------------------------------------------------------------------------
def test_a_person_who_answers_after_the_failure_is_removed() -> None:
    life = dialing()
    life.due(SetTimer.RING)
    life.looked(CALLER)
    canceled = event("CancelAddParticipantFailed", 400, 1, invitation_id="invitation-1")
    assert "ListParticipants" in life.on(canceled) or life.is_armed(SetTimer.ROSTER)
    assert "RemoveParticipant" in life.reported("AddParticipantSucceeded")
    assert life.named(RemoveParticipant, "raw_id") == BILLING
    assert life.reported("AddParticipantSucceeded") == [], "once"
    assert back_with_agent(life)


def test_a_late_person_whom_only_the_roster_shows_is_removed() -> None:
    life = dialing()
    life.due(SetTimer.RING)
    life.looked(CALLER)
    assert life.is_armed(SetTimer.ROSTER), "also without any event"
    life.due(SetTimer.ROSTER)
    assert "RemoveParticipant" in life.looked(CALLER, BILLING)


def test_a_canceled_invitation_is_over() -> None:
    life = dialing()
    life.act("return_to_agent", "act-2")
    life.on(event("CancelAddParticipantSucceeded", 487, 5234, invitation_id="invitation-1"))
    assert life.person().invitation_id == ""
    assert life.reported("AddParticipantFailed", 487, 5234) == []
    assert life.outcome() == ("canceled", "requested")


# -- screening --------------------------------------------------------------------------------------------------------
def test_a_voicemail_is_removed_and_the_agent_returns() -> None:
    life = screening(by="agent")
    assert sorted(life.screened("unconfirmed")) == ["InstructRelay", "RemoveParticipant"]
    assert life.instructed() == {"returned": {"name": "billing", "reason": "not_confirmed", "joined": False}}
    assert life.outcome() == ("failed", "not_confirmed")
    assert life.person().state == "left"
    assert back_with_agent(life)


def test_a_screening_without_a_report_is_not_confirmed() -> None:
    life = screening()
    assert "RemoveParticipant" in life.due(SetTimer.SCREENING)
    assert life.outcome() == ("failed", "not_confirmed")
    assert life.screened() == [], "the late report changes nothing"


def test_the_person_hangs_up_during_the_screening() -> None:
    life = screening()
    life.due(SetTimer.ROSTER)
    life.looked(CALLER)
    assert life.outcome() == ("failed", "not_confirmed")
    assert life.person().state == "left"
    assert back_with_agent(life)


def test_the_person_hangs_up_in_the_moment_of_the_join() -> None:
    life = dialing()
    life.reported("AddParticipantSucceeded")
    life.looked(CALLER)
    assert life.stage is TransferStage.SCREENING, "the list may lag behind the join"
    life.due(SetTimer.ROSTER)
    life.looked(CALLER)
    assert life.outcome() == ("failed", "not_confirmed")


def test_keys_of_the_person_reach_the_relay() -> None:
    life = screening()
    tone = replace(event("ContinuousDtmfRecognitionToneReceived"), id="tone-event", tone="5")
    assert life.on(tone) == ["InstructRelay"]
    assert life.instructed() == {"tone": {"tone": "5", "participant": BILLING}}
    assert life.named(InstructRelay, "instruction_id") == "tone-tone-event"
    life.screened()
    assert life.on(tone) == [], "only during the screening"


def test_refused_key_reports_have_no_consequence() -> None:
    life = screening()
    life.failed(StartDtmf, "8583")
    assert life.stage is TransferStage.SCREENING


# -- talk -------------------------------------------------------------------------------------------------------------
def test_the_person_leaves_and_the_agent_returns() -> None:
    life = bridged(by="agent")
    life.due(SetTimer.ROSTER)
    assert "InstructRelay" in life.looked(CALLER)
    assert life.instructed() == {"returned": {"name": "billing", "reason": "person_left", "joined": True}}
    assert life.outcome() == ("done", "connected"), "the transfer has succeeded"
    assert back_with_agent(life)
    assert life.act("transfer", "act-2", by="agent", target="billing"), "not a repetition: it leads to a new call"
    assert life.record.transfer == "act-2"


def test_the_call_ends_with_the_person_if_the_target_says_so() -> None:
    life = bridged("last")
    life.due(SetTimer.ROSTER)
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
    assert life.at(Status.ENDED)


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
    commands = life.looked(*([] if cancels else [BILLING]))
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
