"""Events about participants are only a reason to fetch them; the answer decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge_common.wire.call_record import Status, TransferStage
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.call_commands import ListParticipants, LookUp, SetTimer
from call_control.core.machine.call_events import CommandDone, RosterEntry
from call_control.core.machine.transition import armed
from tests.unit.support.people_life import APPLICATION, BILLING, CALLER, SALES, bridged, dialing, event, phoned

UPDATED = event("ParticipantsUpdated")


def test_a_call_of_two_ignores_rosters() -> None:
    life = phoned()
    assert life.on(UPDATED) == []
    assert life.step.ignored


@pytest.mark.parametrize("first", ["roster", "success"])
def test_roster_and_success_in_either_order(first: str) -> None:
    life = dialing()
    if first == "roster":
        life.on(UPDATED)
        life.looked(CALLER, BILLING)
        assert life.stage is TransferStage.SCREENING
        assert life.reported("AddParticipantSucceeded") == []
    else:
        life.reported("AddParticipantSucceeded")
        life.on(UPDATED)
        if life.looks():
            life.looked(CALLER, BILLING)
    assert (life.stage, life.person().state) == (TransferStage.SCREENING, "joined")


def test_only_the_success_is_reported() -> None:
    life = dialing()
    life.reported("AddParticipantSucceeded")
    assert life.stage is TransferStage.SCREENING


def test_a_success_without_an_operation_names_the_participant() -> None:
    life = dialing()
    life.on(event("AddParticipantSucceeded", participant=BILLING))
    assert life.stage is TransferStage.SCREENING


def test_a_failure_that_names_only_the_invitation() -> None:
    life = dialing()
    life.on(event("AddParticipantFailed", 486, 560486, invitation_id="invitation-1"))
    assert life.outcome() == ("failed", "busy")


@pytest.mark.parametrize(
    "succeeded",
    [
        event("AddParticipantSucceeded", operation_context="AddParticipant-99"),
        event("AddParticipantSucceeded", invitation_id="x"),
        event("AddParticipantSucceeded"),
    ],
)
def test_a_success_of_another_operation_changes_nothing(succeeded: AcsEvent) -> None:
    life = dialing()
    assert life.on(succeeded) == []
    assert life.stage is TransferStage.DIALING


def test_a_flood_of_rosters_is_one_request_at_a_time() -> None:
    life = dialing()
    asked = 0
    for _ in range(20):
        life.now_ms += 50
        asked += "ListParticipants" in life.on(UPDATED)
    assert asked == 1
    life.looked(CALLER)
    assert "ListParticipants" in life.due(SetTimer.ROSTER), "the latest event may be newer than the answer"
    life.looked(CALLER, BILLING)
    assert life.stage is TransferStage.SCREENING


def test_a_request_whose_answer_never_comes_is_repeated() -> None:
    life = bridged()
    life.due(SetTimer.ROSTER)
    lost = life.waiting(ListParticipants)
    assert "ListParticipants" in life.due(SetTimer.ROSTER)
    assert [item.seq for item in life.record.pending if item.kind == "ListParticipants"] != [lost]
    assert life.on(CommandDone(lost, roster=(RosterEntry(APPLICATION),))) == [], "only the latest answer counts"
    life.looked(CALLER)
    assert life.person().state == "left"


def test_rosters_after_a_pause_are_asked_about_at_once() -> None:
    life = dialing()
    life.on(UPDATED)
    life.looked(CALLER)
    life.now_ms += 501
    assert "ListParticipants" in life.on(UPDATED)


def test_a_person_who_still_rings_is_not_listed() -> None:
    life = dialing()
    life.on(UPDATED)
    life.looked(CALLER)
    assert (life.stage, life.person().state) == (TransferStage.DIALING, "ringing")


def test_the_participants_are_watched_without_events() -> None:
    life = bridged()
    for _ in range(3):
        assert "ListParticipants" in life.due(SetTimer.ROSTER)
        assert life.looked(CALLER, BILLING) == ["SetTimer roster"]
    life.due(SetTimer.ROSTER)
    life.failed(ListParticipants, "unavailable")
    assert life.is_armed(SetTimer.ROSTER)


def test_an_empty_answer_decides_nothing() -> None:
    life = bridged()
    life.due(SetTimer.ROSTER)
    life.on(CommandDone(life.waiting(ListParticipants)))
    assert (life.record.status, life.stage) == (Status.CONNECTED, TransferStage.BRIDGED)
    assert life.is_armed(SetTimer.ROSTER)


def test_a_call_that_is_gone_ends() -> None:
    life = bridged()
    life.due(SetTimer.ROSTER)
    life.failed(ListParticipants, "gone", gone=True)
    life.failed(LookUp, "gone", gone=True)
    assert (life.record.status, life.record.end_reason) == (Status.ENDED, "acs_gone")


def test_a_caller_with_another_raw_id_is_recognized() -> None:
    """The raw id of a hidden number may differ from that of the IncomingCall event."""
    life = bridged()
    life.record = replace(life.record, caller="4:anonymous")
    life.due(SetTimer.ROSTER)
    life.looked("4:+14255550100", BILLING)
    assert life.at(Status.CONNECTED)
    assert [one.raw_id for one in life.record.participants] == [BILLING]
    life.due(SetTimer.ROSTER)
    life.caller_missed(BILLING)
    assert life.record.end_reason == "caller_hung_up"


@pytest.mark.parametrize("listed", [(BILLING,), ()])
def test_a_single_list_without_the_caller_ends_nothing(listed: tuple[str, ...]) -> None:
    life = bridged()
    life.due(SetTimer.ROSTER)
    began_ms = life.now_ms
    assert life.looked(*listed) == ["SetTimer roster"]
    assert life.on(UPDATED) == [], "the second list must not be from the same moment"
    assert "ListParticipants" in life.due(SetTimer.ROSTER)
    assert life.now_ms == began_ms + 1_000
    life.looked(CALLER, BILLING)
    assert (life.record.status, life.stage) == (Status.CONNECTED, TransferStage.BRIDGED)
    life.due(SetTimer.ROSTER)
    assert life.looked(BILLING) == ["SetTimer roster"], "the next absence begins from the start"


def test_the_second_list_without_the_caller_is_not_from_the_same_moment() -> None:
    life = dialing()
    life.now_ms = life.timer(SetTimer.RING).due_ms - 100
    life.on(UPDATED)
    life.looked(BILLING)
    assert "ListParticipants" in life.due(SetTimer.RING)
    assert "HangUp" not in life.looked(BILLING)
    life.due(SetTimer.ROSTER)
    assert "HangUp" in life.looked(BILLING)


def test_a_join_without_a_callback_is_seen_within_five_seconds() -> None:
    life = dialing()
    began_ms = life.now_ms
    for _ in range(3):
        assert "ListParticipants" in life.due(SetTimer.ROSTER)
        life.looked(CALLER)
    assert life.now_ms <= began_ms + 3 * 5_000
    life.due(SetTimer.ROSTER)
    life.looked(CALLER, BILLING)
    assert life.stage is TransferStage.SCREENING


def test_a_participant_whom_nobody_has_invited_is_recorded() -> None:
    life = bridged()
    life.due(SetTimer.ROSTER)
    life.looked(CALLER, BILLING, "4:+14255550199", "8:acs:1111_9999")
    assert life.instructed() == {"people": {"names": ["billing", "another participant"], "caller_on_hold": False}}
    assert (life.person("4:+14255550199").state, life.person("4:+14255550199").name) == ("joined", "")
    life.act("remove_participant", "act-2", participant="4:+14255550199")
    assert life.outcome("act-2") == ("running", "")


def test_the_case_of_raw_ids_does_not_matter() -> None:
    life = phoned()
    life.act("transfer", target="sales", mode="attended")
    life.words()
    life.on(UPDATED)
    life.looked(CALLER, SALES.upper())
    assert life.stage is TransferStage.SCREENING


def test_the_watch_ends_when_nobody_is_left() -> None:
    life = bridged()
    life.due(SetTimer.ROSTER)
    life.looked(CALLER)
    timer = armed(life.record, SetTimer.ROSTER)
    assert timer is None or timer.due_ms > life.now_ms
    if timer is not None:
        life.due(SetTimer.ROSTER)
        life.looked(CALLER)
    assert not life.is_armed(SetTimer.ROSTER)


def test_a_held_person_is_shown_in_the_record() -> None:
    life = bridged()
    life.due(SetTimer.ROSTER)
    roster = (RosterEntry(APPLICATION), RosterEntry(CALLER, muted=True), RosterEntry(BILLING, on_hold=True))
    life.on(CommandDone(life.waiting(ListParticipants), roster=roster))
    assert (life.person().on_hold, life.record.caller_muted) == (True, True)
