"""An attended transfer until the person has taken the call: words, call of the person, screening."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge_common.wire.call_record import TransferStage
from call_control.core.machine import call_commands
from call_control.core.machine.call_commands import (
    AddParticipant,
    CancelAdd,
    InstructRelay,
    RemoveParticipant,
    SetTimer,
    StartDtmf,
)
from call_control.core.machine.call_events import CommandFailed
from call_control.core.machine.call_machine import still_wanted
from call_control.core.machine.transition import awaited
from tests.unit.support.people_life import (
    BILLING,
    CALLER,
    RULES,
    back_with_agent,
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
    assert sorted(life.words()) == ["AddParticipant", "InstructRelay", "SetTimer ring", "SetTimer roster"]
    assert life.instructed() == {"waiting": {"name": "billing"}}
    assert (life.named(AddParticipant, "target"), life.named(AddParticipant, "ring_s")) == (BILLING, 30)
    assert life.named(AddParticipant, "action_id") == "act-1"
    assert (life.stage, life.person().state) == (TransferStage.DIALING, "ringing")
    assert life.invited() == []
    assert life.person().invitation_id == "invitation-1"
    assert "StartDtmf" in life.reported("AddParticipantSucceeded")
    assert life.named(StartDtmf, "raw_id") == BILLING
    assert life.instructed() == {"screening": {"name": "billing", "participant": BILLING}}
    assert life.person().state == "joined"
    assert life.outcome() == ("running", "")
    assert sorted(life.screened()) == ["InstructRelay", "SetTimer roster"]
    assert life.instructed() == {"bridged": {"name": "billing"}}
    assert life.outcome() == ("done", "connected")
    assert (life.stage, life.record.transfer) == (TransferStage.BRIDGED, "act-1")
    assert not life.is_armed(SetTimer.SCREENING)
    assert not life.is_armed(SetTimer.RING)


@pytest.mark.parametrize("gone", [False, True])
def test_the_relay_learns_that_the_keys_of_the_person_are_not_reported(gone: bool) -> None:
    """Otherwise it ignores keys without a sender: they may be those of the caller, who hears the question."""
    life = screening()
    assert life.failed(StartDtmf, "8500", gone=gone) == ["InstructRelay"]
    assert life.instructed() == {"tones_refused": {}}
    assert life.stage is TransferStage.SCREENING


def test_a_request_for_keys_without_an_answer_is_not_a_refusal() -> None:
    life = screening()
    assert life.failed(StartDtmf, "unavailable") == []


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
    assert life.instructed()["screening"]["topic"] == "refund"


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
    assert life.outcome() == ("failed", "the target is no longer in the routing policy")
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


def test_a_screening_without_a_report_connects_the_caller() -> None:
    life = screening()
    assert "ListParticipants" in life.due(SetTimer.SCREENING)
    life.looked(CALLER, BILLING)
    life.due(SetTimer.SCREENING)
    assert life.stage is TransferStage.BRIDGED, "the report is lost; the person has been in the call all the time"
    assert life.screened() == [], "the late report changes nothing"


def test_a_screening_without_a_report_and_without_the_person() -> None:
    life = screening()
    life.due(SetTimer.SCREENING)
    life.looked(CALLER)
    assert life.outcome() == ("failed", "not_confirmed")
    assert back_with_agent(life)


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
