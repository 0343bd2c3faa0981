"""A blind transfer, and what a transfer does to voice session and media."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bridge_common.wire.call_record import Status, TransferStage
from bridge_common.wire.entries import HangUp, MediaLost, Restored, UplinkMissed, VoiceLost, VoiceReady
from call_control.core.machine.call_commands import (
    AddParticipant,
    ListParticipants,
    LookUp,
    SetTimer,
    StartMediaStreaming,
    Transfer,
)
from call_control.core.machine.call_events import CommandFailed
from call_control.core.machine.call_machine import still_wanted
from call_control.core.machine.transfer_actions import UNREPORTED
from call_control.core.machine.transition import CallPolicy, armed, awaited
from tests.unit.support.call_life import CALL, CONNECTION, callback
from tests.unit.support.people_life import (
    APPLICATION,
    BILLING,
    CALLER,
    HUMANS,
    RULES,
    SALES,
    TARGETS,
    PeopleLife,
    back_with_agent,
    bridged,
    dialing,
    event,
    moving,
    phoned,
    screening,
)

ALONE = CallPolicy(targets=TARGETS)
"""There are no human agents."""


# -- blind transfer ---------------------------------------------------------------------------------------------------
def test_a_blind_transfer_that_the_target_accepts() -> None:
    life = phoned()
    life.act("transfer", by="agent", target="sales")
    assert sorted(life.words()) == ["InstructRelay", "SetTimer transfer", "Transfer"]
    assert (life.named(Transfer, "target"), life.named(Transfer, "transferee")) == (SALES, "")
    assert life.named(Transfer, "action_id") == "act-1"
    assert life.instructed() == {"waiting": {"name": "sales"}}
    life.done(Transfer)
    assert life.reported("CallTransferAccepted") == ["SetTimer ending", "End"]
    assert (life.record.status, life.record.end_reason) == (Status.ENDING, "transferred")
    life.on(callback("CallDisconnected", sub_code=7015))
    assert life.outcome() == ("done", "connected")


def test_the_mode_of_the_action_precedes_that_of_the_target() -> None:
    life = phoned()
    life.act("transfer", target="billing", mode="blind")
    assert "Transfer" in life.words()


@pytest.mark.parametrize(
    ("code", "sub_code", "reason"),
    [
        (486, 560486, "busy"),
        (480, 10037, "unreachable"),
        (403, 510403, "refused 403/510403"),
        (480, 560480, "no_answer"),
        (0, 0, "unknown"),
    ],
)
def test_a_blind_transfer_that_fails(code: int, sub_code: int, reason: str) -> None:
    life = moving(by="agent")
    assert life.reported("CallTransferFailed", code, sub_code) == ["InstructRelay"]
    assert life.instructed() == {"returned": {"name": "sales", "reason": reason, "joined": False}}
    assert life.outcome() == ("failed", reason)
    assert back_with_agent(life)


def test_a_transfer_that_acs_refuses() -> None:
    life = phoned()
    life.act("transfer", target="sales")
    life.words()
    life.failed(Transfer, "8607")
    assert life.outcome() == ("failed", "refused 8607")


def test_a_transfer_without_a_response_may_have_been_executed() -> None:
    life = phoned()
    life.act("transfer", target="sales")
    life.words()
    assert life.failed(Transfer, "unavailable") == []
    assert life.stage is TransferStage.TRANSFERRING
    life.reported("CallTransferAccepted")
    assert life.record.end_reason == "transferred"


def test_the_call_is_dead_after_a_failed_transfer() -> None:
    life = moving()
    life.reported("CallTransferFailed", 480, 560480)
    life.on(callback("CallDisconnected", code=410, sub_code=301005))
    assert life.at(Status.ENDED)
    assert life.outcome() == ("failed", "no_answer")
    assert life.record.end_reason == "CallDisconnected_410_301005"


@pytest.mark.parametrize("sub_code", [7015, 7000, 5002])
def test_our_leg_ends_before_the_transfer_is_reported(sub_code: int) -> None:
    life = moving()
    assert life.on(callback("CallDisconnected", sub_code=sub_code)) == ["End"]
    assert (life.record.end_reason, life.outcome()) == ("transferred", ("done", "connected"))
    assert life.reported("CallTransferAccepted") == []


@pytest.mark.parametrize("sub_code", [560000, 540000])
def test_the_caller_hangs_up_while_the_target_rings(sub_code: int) -> None:
    life = moving()
    life.on(callback("CallDisconnected", sub_code=sub_code))
    assert (life.record.end_reason, life.outcome()) == ("caller_hung_up", ("failed", "the call has ended"))


def test_a_transfer_without_any_event_is_looked_up() -> None:
    life = moving()
    assert life.due(SetTimer.TRANSFER) == ["SetTimer transfer", "LookUp"]
    life.done(LookUp, CONNECTION, "connected")
    assert life.outcome() == ("failed", "unknown")
    assert back_with_agent(life)


def test_a_call_that_acs_still_transfers_gets_more_time() -> None:
    life = moving()
    life.due(SetTimer.TRANSFER)
    life.done(LookUp, CONNECTION, "transferAccepted")
    assert life.stage is TransferStage.TRANSFERRING
    life.due(SetTimer.TRANSFER)
    assert life.outcome() == ("failed", "unknown")


def test_a_look_up_that_fails_ends_the_wait() -> None:
    life = moving()
    life.due(SetTimer.TRANSFER)
    life.failed(LookUp, "unavailable")
    life.due(SetTimer.TRANSFER)
    assert life.outcome() == ("failed", "unknown")


def test_a_call_that_is_gone_was_transferred_but_acs_did_not_report_it() -> None:
    life = moving()
    life.due(SetTimer.TRANSFER)
    life.failed(LookUp, "gone", gone=True)
    assert (life.record.status, life.record.end_reason) == (Status.ENDED, "transferred")
    assert life.outcome() == ("done", UNREPORTED)


def test_another_command_finds_the_call_gone() -> None:
    life = phoned()
    life.on(MediaLost(CALL, 10, 1006))
    life.due(SetTimer.MEDIA)
    life.act("transfer", target="sales")
    life.words()
    life.failed(StartMediaStreaming, "gone", gone=True)
    life.failed(LookUp, "gone", gone=True)
    assert (life.record.end_reason, life.outcome()) == ("transferred", ("done", UNREPORTED))


def test_a_transfer_of_a_call_that_was_gone_has_failed() -> None:
    life = phoned()
    life.act("transfer", target="sales")
    life.words()
    life.failed(Transfer, "gone", gone=True)
    life.failed(LookUp, "gone", gone=True)
    assert (life.record.end_reason, life.outcome()[0]) == ("acs_gone", "failed")


def test_a_blind_transfer_out_of_a_call_with_others() -> None:
    life = phoned()
    life.act("add_participant", target="billing")
    life.invited()
    life.reported("AddParticipantSucceeded")
    life.act("transfer", "act-2", target="sales")
    life.words(action_id="act-2")
    assert life.named(Transfer, "transferee") == CALLER
    life.on(event("ParticipantsUpdated"))
    if life.is_armed(SetTimer.ROSTER) and not life.looks():
        life.due(SetTimer.ROSTER)
    life.looked(BILLING)
    assert life.at(Status.CONNECTED), "the caller is not among the participants because ACS transfers them"
    assert life.reported("CallTransferAccepted", action_id="act-2") == ["SetTimer ending", "End", "HangUp"]
    life.on(callback("CallDisconnected", sub_code=7000))
    assert life.outcome("act-2") == ("done", "connected")


def test_a_blind_transfer_cannot_be_canceled() -> None:
    life = moving()
    life.act("return_to_agent", "act-2")
    assert life.outcome("act-2") == ("failed", "a blind transfer cannot be canceled")


def test_a_hang_up_during_a_blind_transfer() -> None:
    life = moving()
    life.act("hang_up", "bye")
    assert life.stage is TransferStage.TRANSFERRING
    assert life.due(SetTimer.CLOSING) == ["SetTimer ending", "End", "HangUp"]
    life.on(callback("CallDisconnected", sub_code=7000))
    assert life.outcome() == ("failed", "the call has ended")


def test_a_restored_call_repeats_the_transfer_only_while_it_waits_for_it() -> None:
    life = phoned()
    life.act("transfer", target="sales")
    life.words()
    life.on(Restored(CALL), cause="99-1")
    command = awaited(life.record, life.waiting(Transfer))
    assert isinstance(command, Transfer)
    assert still_wanted(life.record, command)
    life.reported("CallTransferFailed", 486, 560486)
    assert not still_wanted(life.record, command)


# -- media ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "loss",
    [
        lambda life: life.on(MediaLost(CALL, 10, 1000)),
        lambda life: life.on(UplinkMissed(CALL, 10)),
        lambda life: life.on(callback("MediaStreamingFailed", code=400, sub_code=8581)),
        lambda life: life.on(callback("MediaStreamingStopped")),
    ],
)
def test_a_socket_that_acs_closes_for_the_transfer_is_not_restarted(loss: Callable[[PeopleLife], list[str]]) -> None:
    life = moving()
    assert loss(life) == ["SetTimer media"]
    for _ in range(5):
        assert life.due(SetTimer.MEDIA) == ["SetTimer media"]
    assert life.on(callback("MediaStreamingFailed", code=400, sub_code=8581)) == []
    assert "StartMediaStreaming" in life.reported("CallTransferFailed", 486, 560486)
    assert back_with_agent(life)
    life.done(StartMediaStreaming)
    assert life.attach(11) == []
    assert not life.waits


@pytest.mark.parametrize("make", [dialing, screening, bridged])
def test_media_that_stays_lost_neither_diverts_nor_ends_a_transfer(make: Callable[[], PeopleLife]) -> None:
    life = make()
    life.on(MediaLost(CALL, 10, 1006))
    starts = 0
    for _ in range(40):
        if "StartMediaStreaming" in life.due(SetTimer.MEDIA):
            starts += 1
            life.failed(StartMediaStreaming, "8581")
    assert (life.record.status, life.record.transfer) == (Status.CONNECTED, "act-1")
    assert starts > 5


def test_after_the_return_lost_media_leads_to_human_agents() -> None:
    life = bridged()
    life.on(MediaLost(CALL, 10, 1006))
    for _ in range(20):
        life.due(SetTimer.MEDIA)
    assert "StartMediaStreaming" in life.act("return_to_agent", "act-2")
    while life.at(Status.CONNECTED):
        life.due(SetTimer.MEDIA)
    assert life.at(Status.TRANSFERRING)
    assert life.named(Transfer, "target") == HUMANS


# -- voice session ----------------------------------------------------------------------------------------------------
def lost(life: PeopleLife) -> list[str]:
    return life.on(VoiceLost(CALL, 9, "budget"))


def test_a_lost_voice_session_does_not_wait_for_words() -> None:
    life = phoned()
    life.act("transfer", target="billing")
    assert "AddParticipant" in lost(life)
    life.invited()
    life.reported("AddParticipantSucceeded")
    assert life.stage is TransferStage.BRIDGED, "nobody can ask the person"


def test_a_lost_voice_session_connects_a_person_who_is_being_asked() -> None:
    life = screening()
    lost(life)
    assert (life.stage, life.outcome()) == (TransferStage.BRIDGED, ("done", "connected"))


@pytest.mark.parametrize("make", [dialing, bridged, moving])
def test_a_lost_voice_session_does_not_stop_a_transfer(make: Callable[[], PeopleLife]) -> None:
    life = make()
    stage = life.stage
    assert lost(life) == []
    assert (life.record.status, life.stage) == (Status.CONNECTED, stage)


@pytest.mark.parametrize(("rules", "status"), [(RULES, Status.TRANSFERRING), (ALONE, Status.ENDING)])
def test_a_failed_transfer_without_a_voice_session(rules: CallPolicy, status: Status) -> None:
    life = dialing(rules=rules)
    lost(life)
    life.reported("AddParticipantFailed", 486, 560486)
    life.due(SetTimer.VOICE)
    assert life.at(status)
    if status is Status.ENDING:
        assert life.record.end_reason == "voice_lost"
        assert life.is_armed(SetTimer.APOLOGY)


def test_a_voice_session_that_is_back_serves_the_caller_again() -> None:
    life = dialing()
    lost(life)
    life.on(VoiceReady(CALL, 10))
    life.reported("AddParticipantFailed", 486, 560486)
    assert back_with_agent(life)
    assert not life.is_armed(SetTimer.VOICE)


def test_human_agents_get_the_caller_out_of_a_call_with_others() -> None:
    life = phoned()
    life.act("add_participant", target="billing")
    life.invited()
    life.reported("AddParticipantSucceeded")
    assert "Transfer" in lost(life)
    assert life.named(Transfer, "transferee") == CALLER


def test_a_hidden_caller_is_transferred_by_the_listed_id() -> None:
    life = phoned()
    life.record = replace(life.record, caller="4:anonymous", caller_listed=CALLER)
    life.act("add_participant", target="billing")
    life.invited()
    life.reported("AddParticipantSucceeded")
    assert "Transfer" in lost(life)
    assert life.named(Transfer, "transferee") == CALLER


def test_a_person_who_answers_while_human_agents_are_called() -> None:
    life = dialing()
    life.act("return_to_agent", "act-2")
    lost(life)
    assert life.at(Status.TRANSFERRING)
    assert "RemoveParticipant" in life.reported("AddParticipantSucceeded")


def test_requests_for_the_participants_are_not_sent_after_the_call() -> None:
    life = bridged()
    life.due(SetTimer.ROSTER)
    command = awaited(life.record, life.waiting(ListParticipants))
    assert isinstance(command, ListParticipants)
    life.on(HangUp(CALL, "operator", ""))
    assert not still_wanted(life.record, command)
    assert life.on(CommandFailed(command.seq, "overtaken")) == []


def test_the_application_in_the_roster_is_not_a_person() -> None:
    life = bridged()
    life.due(SetTimer.ROSTER)
    life.looked(CALLER, BILLING)
    assert [one.raw_id for one in life.record.participants] == [BILLING]
    assert APPLICATION not in str(life.record.participants)
    assert armed(life.record, SetTimer.ROSTER) is not None
    assert not any(item.kind == AddParticipant.__name__ for item in life.record.pending)
