from __future__ import annotations

from dataclasses import replace

import pytest

from bridge_common.wire.call_record import CallAction, CallRecord, Participant, Status
from call_control.core.machine.call_events import RosterEntry
from call_control.core.machine.call_people import (
    caller_in,
    mode_of,
    person_named,
    ring_until_ms,
    strangers_in,
    target_of,
    with_person,
    without_agent,
)
from tests.unit.support.people_life import APPLICATION, BILLING, CALLER, RULES, SALES, TARGETS

PERSON = Participant(BILLING, "billing", "joined", "act-1", at_ms=1_000)
RECORD = CallRecord(
    call_id="call_1", status=Status.CONNECTED, caller=CALLER, callee="4:+18005551212", participants=(PERSON,)
)
US, HERE = RosterEntry(APPLICATION), RosterEntry(CALLER)


def transfer(arguments: str, by: str = "operator") -> CallAction:
    return CallAction("act-1", "transfer", arguments, by, 1)


@pytest.mark.parametrize("name", ["billing", "Billing", BILLING])
def test_a_person_has_a_name_and_a_raw_id(name: str) -> None:
    assert person_named(RECORD, name) == PERSON
    gone = replace(RECORD, participants=(replace(PERSON, state="left"),))
    assert person_named(gone, name) is None


def test_a_person_has_one_entry() -> None:
    again = replace(PERSON, state="ringing", action_id="act-2")
    assert with_person(RECORD, again).participants == (again,)
    assert len(with_person(RECORD, Participant(SALES)).participants) == 2


@pytest.mark.parametrize(
    ("roster", "caller"),
    [
        ((US, HERE, RosterEntry(BILLING)), HERE),
        ((US, RosterEntry(BILLING), RosterEntry(CALLER.upper())), RosterEntry(CALLER.upper())),
        ((US, RosterEntry(BILLING), RosterEntry("4:+19995550123")), RosterEntry("4:+19995550123")),
        ((US, RosterEntry(BILLING)), None),
        ((US, RosterEntry(BILLING), RosterEntry("4:+18005551212"), RosterEntry("28:orgid:1")), None),
    ],
)
def test_the_caller_is_recognized(roster: tuple[RosterEntry, ...], caller: RosterEntry | None) -> None:
    assert caller_in(RECORD, roster) == caller


@pytest.mark.parametrize("us", [APPLICATION, "8:gcch-acs:1111_2222", "8:dod-acs:1111_2222", "28:orgid:1"])
def test_strangers_are_neither_caller_nor_application(us: str) -> None:
    stranger = RosterEntry("4:+19995550123")
    assert strangers_in(RECORD, (RosterEntry(us), HERE, RosterEntry(BILLING), stranger)) == [stranger]
    assert strangers_in(RECORD, (US, RosterEntry(BILLING), stranger)) == [], "it is the caller"


def test_targets_and_modes() -> None:
    assert target_of(transfer('{"target":"SALES"}'), RULES) == TARGETS["sales"]
    assert target_of(transfer('{"target":"x"}'), RULES) is None
    alone = target_of(transfer('{"target":"8:acs:x"}', "routing"), RULES)
    assert alone is not None
    assert alone.raw_id == "8:acs:x"
    assert mode_of(transfer('{"target":"sales"}'), TARGETS["sales"]) == "blind"
    assert mode_of(transfer('{"target":"sales","mode":"attended"}'), TARGETS["sales"]) == "attended"
    assert mode_of(CallAction("a", "add_participant", "{}", "agent", 1), TARGETS["sales"]) == "attended"


def test_an_invitation_is_due_after_its_ringing_time() -> None:
    assert ring_until_ms(PERSON, RULES) == 1_000 + 30_000 + 15_000


@pytest.mark.parametrize(("by", "alone"), [("routing", True), ("operator", False)])
def test_a_call_without_an_agent(by: str, alone: bool) -> None:
    assert without_agent(replace(RECORD, transfer="act-1", actions=(transfer("{}", by),))) is alone
