"""Events with a list of participants lead to a request only if the list shows something new."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge_common.wire.call_record import Status, TransferStage
from bridge_common.wire.entries import Restored
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.call_commands import SetTimer
from tests.unit.support.call_life import CALL
from tests.unit.support.people_life import APPLICATION, BILLING, CALLER, PeopleLife, dialing, event, phoned, screening

STRANGER = "4:+14255550199"
LOOK = ["SetTimer roster", "ListParticipants"]


def listing(*raw_ids: str) -> AcsEvent:
    return event("ParticipantsUpdated", listed=raw_ids)


def emptied() -> PeopleLife:
    """Redis has lost an invitation: the relay has restored an older record."""
    life = phoned()
    life.on(listing(CALLER))
    older = life.record
    life.act("add_participant", target="billing")
    life.invited()
    life.record = older
    life.on(Restored(CALL), cause="99-1")
    return life


def test_a_restored_screening_has_a_deadline() -> None:
    life = screening()
    life.record = replace(life.record, pending=())
    life.on(Restored(CALL), cause="99-1")
    assert life.is_armed(SetTimer.SCREENING)


def test_an_action_whose_stage_is_lost_is_settled() -> None:
    life = screening()
    life.record = replace(life.record, transfer="", transfer_stage=TransferStage.NONE)
    life.on(Restored(CALL), cause="99-1")
    assert life.outcome() == ("failed", "unknown")


def test_a_list_of_strangers_is_limited() -> None:
    life = emptied()
    for round_ in range(2):
        life.due(SetTimer.ROSTER)
        life.looked(CALLER, *(f"4:+1425555{round_}{number:03}" for number in range(30)))
    assert len(life.record.participants) == 20


@pytest.mark.parametrize("roster", [(CALLER,), (CALLER, APPLICATION), (CALLER.upper(), "28:app"), ()])
def test_a_roster_of_caller_and_application_is_no_reason(roster: tuple[str, ...]) -> None:
    life = phoned()
    for _ in range(3):
        assert life.on(listing(*roster)) == []
    life.on(listing(*roster))
    assert life.step.ignored, "only the first roster of a call is stored"


def test_a_join_after_the_loss_of_its_invitation_is_recorded() -> None:
    life = emptied()
    assert "ListParticipants" in life.on(listing(CALLER, BILLING))
    life.looked(CALLER, BILLING)
    assert (life.person().state, life.person().name, life.person().action_id) == ("joined", "billing", "")
    assert life.instructed() == {"people": {"names": ["billing"], "caller_on_hold": False}}
    assert life.is_armed(SetTimer.ROSTER)


def test_nobody_stays_when_the_caller_hangs_up_after_the_loss() -> None:
    life = emptied()
    life.due(SetTimer.ROSTER)
    life.looked(CALLER, BILLING)
    life.now_ms += 5_000
    assert "ListParticipants" in life.on(listing(BILLING))
    assert "HangUp" in life.caller_missed(BILLING)
    assert (life.record.status, life.record.end_reason) == (Status.ENDING, "caller_hung_up")


def test_a_caller_who_is_gone_before_the_request_is_not_mistaken_for_the_person() -> None:
    life = emptied()
    life.due(SetTimer.ROSTER)
    assert "HangUp" in life.caller_missed(BILLING)


@pytest.mark.parametrize("roster", [(STRANGER, CALLER), (BILLING,), (APPLICATION,)])
def test_a_roster_that_shows_a_stranger_or_no_caller_is_a_reason(roster: tuple[str, ...]) -> None:
    life = phoned()
    life.on(listing(CALLER))
    assert sorted(life.on(listing(*roster))) == sorted(LOOK)


def test_an_outdated_roster_ends_nothing() -> None:
    life = phoned()
    life.on(listing(CALLER))
    life.on(listing(APPLICATION))
    life.looked(CALLER)
    assert life.at(Status.CONNECTED)
    assert not life.is_armed(SetTimer.ROSTER)


@pytest.mark.parametrize("roster", [(APPLICATION,), ("8:acs:another-form",)])
def test_a_caller_who_was_never_listed_is_not_missed(roster: tuple[str, ...]) -> None:
    life = phoned()
    assert life.on(listing(*roster)) == []


def test_a_hidden_caller_is_known_by_the_first_roster() -> None:
    life = phoned()
    life.record = replace(life.record, caller="4:anonymous")
    life.on(listing("4:+14255550100"))
    assert life.record.caller_listed == "4:+14255550100"
    assert "ListParticipants" in life.on(listing(BILLING))
    assert "HangUp" in life.caller_missed(BILLING)


def test_two_strangers_do_not_show_who_the_caller_is() -> None:
    life = phoned()
    life.record = replace(life.record, caller="4:anonymous")
    life.on(listing(STRANGER, "4:+14255550100"))
    assert life.record.caller_listed == ""


def test_a_join_whose_operation_is_unknown_is_a_reason() -> None:
    life = phoned()
    joined = event("AddParticipantSucceeded", operation_context="AddParticipant-99", participant=BILLING)
    assert sorted(life.on(joined)) == sorted(LOOK)
    life.looked(CALLER, BILLING)
    assert life.on(joined) == [], "the person is known now"


def test_a_join_by_another_operation_is_a_reason() -> None:
    life = dialing()
    life.now_ms += 1_000
    life.on(event("AddParticipantSucceeded", operation_context="AddParticipant-99", participant=STRANGER))
    life.looked(CALLER, STRANGER)
    assert (life.person().state, life.person(STRANGER).state) == ("ringing", "joined")


def test_a_restored_call_is_examined_once() -> None:
    life = phoned()
    assert "SetTimer roster" in life.on(Restored(CALL), cause="99-1")
    assert "ListParticipants" in life.due(SetTimer.ROSTER)
    life.looked(CALLER)
    assert not life.is_armed(SetTimer.ROSTER)
