"""Checks of transfers, participants and context, applied to a scripted call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.observed_call import ObservedCall
from lab.people_checks import people_checks
from lab.scenario import Scenario
from lab.stack import Ports, Stack

ROUTING = {"targets": {"desk": {"phone": "+14255550172"}, "planner": {"teams_user": "0f3e"}}}
DELIVERED = {
    "sipHeaders": {"X-MS-Custom-Topic": "an invoice", "X-MS-Custom-Summary": "Paid 100%25 twice.", "User-To-User": "a"}
}
DETAILS = {"teamsPhoneCallDetails": {"callTopic": "an invoice", "callContext": "The caller paid.", "tags": ["vip"]}}
ACTIONS = [
    {"action": "note", "arguments": {"text": "x"}, "state": "done", "reason": ""},
    {"action": "transfer", "arguments": {"target": "desk"}, "state": "failed", "reason": "busy"},
    {"action": "transfer", "arguments": {"target": "planner"}, "state": "done", "reason": "connected"},
]
TOLD = [
    {"role": "system", "text": "Desk was busy."},
    {"role": "user", "text": "Hello"},
    {"role": "system", "text": "Left."},
]


def checks(expect: dict[str, Any]) -> dict[str, bool]:
    scenario = Scenario.model_validate({"name": "x", "stack": {"routing": ROUTING}, "expect": expect})
    call = ObservedCall(Stack(Ports(), Path()), "lab", frozenset())
    call.voice = {"items": TOLD}
    call.phone = {
        "invitations": [
            {"target": "4:+14255550172", "delivered": {}},
            {"target": "4:+14255550172", "delivered": DELIVERED},
            {"target": "8:orgid:0f3e", "delivered": DETAILS},
        ]
    }
    people = [("desk", "4:+14255550172", "failed"), ("planner", "8:orgid:0f3e", "left"), ("", "4:+14255550180", "left")]
    record = {"participants": [{"name": name, "raw_id": raw_id, "state": state} for name, raw_id, state in people]}
    return {check.claim: check.holds for check in people_checks(call, scenario, record, ACTIONS)}


@pytest.mark.parametrize(
    ("transfers", "holds"),
    [
        ([{"target": "desk", "outcome": "failed", "reason": "busy"}, {"target": "planner"}], True),
        ([{"target": "desk", "outcome": "failed"}, {"target": "planner", "reason": "connected"}], True),
        ([{"target": "planner"}, {"target": "desk", "outcome": "failed"}], False),
        ([{"target": "desk", "outcome": "failed", "reason": "declined"}, {"target": "planner"}], False),
        ([{"target": "desk", "outcome": "failed"}], False),
        ([], False),
    ],
)
def test_the_transfers_are_those_expected(transfers: list[dict[str, str]], holds: bool) -> None:
    assert list(checks({"transfers": transfers}).values()) == [holds]


@pytest.mark.parametrize(
    ("expect", "holds"),
    [
        ({"participants": ["desk failed", "planner left", "+14255550180 left"]}, [True]),
        ({"participants": ["planner left"]}, [False]),
        ({"informed": ["was busy", "Left."]}, [True]),
        ({"informed": ["Left.", "was busy"]}, [False]),
        ({"informed": ["Hello"]}, [False]),
        ({"context": {"desk": {"topic": "invoice", "summary": "Paid 100% twice."}}}, [True, True]),
        ({"context": {"desk": {"topic": "machine"}}}, [False]),
        ({"context": {"desk": {"headers": {"user-to-user": "a"}}}}, [True]),
        ({"context": {"desk": {"headers": {"User-To-User": "b"}}}}, [False]),
        ({"context": {"desk": {"headers": {"X-Missing": "b"}}}}, [False]),
        ({"context": {"planner": {"topic": "invoice", "summary": "vip"}}}, [True, True]),
        ({"context": {"+14255550199": {"topic": "invoice"}}}, [False]),
        ({}, []),
    ],
)
def test_each_expectation_about_people_is_checked(expect: dict[str, Any], holds: list[bool]) -> None:
    assert list(checks(expect).values()) == holds
