"""A call is believed to be gone only if the request for the call itself is answered with 404."""

from __future__ import annotations

import pytest

from bridge_common.wire.call_record import Status, TransferStage
from bridge_common.wire.entries import MediaLost, VoiceLost
from call_control.core.machine.call_commands import (
    Leave,
    ListParticipants,
    LookUp,
    SendDtmf,
    SetTimer,
    StartMediaStreaming,
    Transfer,
)
from tests.unit.support.call_life import CALL, CONNECTION, callback
from tests.unit.support.people_life import BILLING, CALLER, PeopleLife, bridged, event, moving, phoned, screening


def listed_as_gone() -> PeopleLife:
    life = bridged()
    life.due(SetTimer.ROSTER)
    life.failed(ListParticipants, "gone", gone=True)
    return life


def test_a_call_that_lives_continues_after_a_404() -> None:
    life = listed_as_gone()
    life.done(LookUp, CONNECTION, "connected")
    assert (life.record.status, life.stage) == (Status.CONNECTED, TransferStage.BRIDGED)
    life.due(SetTimer.ROSTER)
    life.looked(CALLER, BILLING)
    assert life.stage is TransferStage.BRIDGED


def test_a_look_up_without_an_answer_decides_nothing() -> None:
    life = listed_as_gone()
    life.failed(LookUp, "unavailable")
    assert life.at(Status.CONNECTED)
    life.due(SetTimer.ROSTER)
    life.failed(ListParticipants, "gone", gone=True)
    life.failed(LookUp, "gone", gone=True)
    assert life.record.end_reason == "acs_gone"


def test_media_of_a_call_that_lives_are_restarted() -> None:
    life = phoned()
    life.on(MediaLost(CALL, 10, 1006))
    life.due(SetTimer.MEDIA)
    life.failed(StartMediaStreaming, "gone", gone=True)
    life.done(LookUp, CONNECTION, "connected")
    assert life.at(Status.CONNECTED)
    assert life.waits


def test_tones_of_a_call_that_lives_have_failed() -> None:
    life = phoned()
    life.act("send_dtmf", tones="1")
    assert life.failed(SendDtmf, "gone", gone=True) == ["LookUp"]
    life.done(LookUp, CONNECTION, "connected")
    assert life.at(Status.CONNECTED)
    assert life.outcome()[0] == "failed"


def test_a_transfer_answered_with_404_returns_to_the_agent() -> None:
    life = phoned()
    life.act("transfer", target="sales")
    life.words()
    life.failed(Transfer, "gone", gone=True)
    life.done(LookUp, CONNECTION, "connected")
    assert (life.outcome(), life.stage) == (("failed", "unknown"), TransferStage.NONE)


def test_our_leg_stays_if_leaving_is_answered_with_404() -> None:
    life = screening("leaver")
    life.screened()
    life.failed(Leave, "gone", gone=True)
    life.done(LookUp, CONNECTION, "connected")
    assert (life.record.status, life.stage) == (Status.CONNECTED, TransferStage.BRIDGED)
    assert not life.is_armed(SetTimer.TRANSFER)


@pytest.mark.parametrize("alive", [True, False])
def test_the_transfer_to_human_agents_is_answered_with_404(alive: bool) -> None:
    life = phoned()
    life.on(VoiceLost(CALL, 2**62, "gone"))
    life.failed(Transfer, "gone", gone=True)
    assert life.at(Status.TRANSFERRING)
    if alive:
        life.done(LookUp, CONNECTION, "connected")
        assert (life.record.status, life.record.end_reason) == (Status.ENDING, "not_transferred")
    else:
        life.failed(LookUp, "gone", gone=True)
        assert (life.record.status, life.record.end_reason) == (Status.ENDED, "acs_gone")


@pytest.mark.parametrize("on", ["ParticipantsUpdated", "AddParticipantSucceeded", "CallTransferFailed"])
def test_a_callback_of_a_call_believed_gone_hangs_up(on: str) -> None:
    life = listed_as_gone()
    life.failed(LookUp, "gone", gone=True)
    assert life.at(Status.ENDED)
    assert "HangUp" in life.on(event(on))
    assert life.on(event(on)) == [], "once"


def test_a_callback_after_an_unreported_transfer_hangs_up() -> None:
    life = moving()
    life.due(SetTimer.TRANSFER)
    life.failed(LookUp, "gone", gone=True)
    assert life.record.end_reason == "transferred"
    assert "HangUp" in life.on(event("ParticipantsUpdated"))


def test_a_late_callback_of_a_call_that_has_ended_changes_nothing() -> None:
    life = bridged()
    life.on(callback("CallDisconnected", sub_code=560000))
    assert life.on(event("ParticipantsUpdated")) == []


def test_a_transfer_that_fails_after_it_was_accepted() -> None:
    life = moving()
    life.reported("CallTransferAccepted")
    assert "HangUp" in life.reported("CallTransferFailed", 486, 560486)
    assert life.record.end_reason == "not_transferred"
    life.on(callback("CallDisconnected", sub_code=7000))
    assert life.outcome() == ("failed", "busy")


def test_a_transfer_that_was_accepted_and_whose_call_lives_is_hung_up() -> None:
    life = moving()
    life.reported("CallTransferAccepted")
    assert life.due(SetTimer.ENDING) == ["SetTimer ending", "LookUp"]
    assert "HangUp" in life.done(LookUp, CONNECTION, "connected")


@pytest.mark.parametrize("answer", ["transferAccepted", ""])
def test_a_transfer_that_acs_still_executes_has_one_more_deadline(answer: str) -> None:
    life = moving()
    life.reported("CallTransferAccepted")
    life.due(SetTimer.ENDING)
    assert "HangUp" not in (life.done(LookUp, CONNECTION, answer) if answer else life.failed(LookUp, "unavailable"))
    assert "HangUp" in life.due(SetTimer.ENDING)
