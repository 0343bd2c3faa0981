"""Limits of the actions of a call."""

from __future__ import annotations

import pytest

from bridge_common.wire.action_kinds import AGENT_ACTIONS
from bridge_common.wire.call_record import CallAction, CallRecord, Status
from call_control.core.machine.action_limits import MAX_ACTIONS, RESERVED, is_recorded, limit_fault


def with_actions(count: int, by: str = "operator", state: str = "done") -> CallRecord:
    actions = tuple(CallAction(f"act-{number}", "note", "{}", by, 1_000, state) for number in range(count))
    return CallRecord(call_id="call", status=Status.CONNECTED, actions=actions)


@pytest.mark.parametrize(
    ("count", "action", "limited"),
    [
        (MAX_ACTIONS - 1, "note", False),
        (MAX_ACTIONS, "note", True),
        (MAX_ACTIONS, "hang_up", False),
        (MAX_ACTIONS + RESERVED, "hang_up", True),
    ],
)
def test_the_limit_of_a_call(count: int, action: str, limited: bool) -> None:
    assert (limit_fault(with_actions(count), action, "operator", 1_000) != "") is limited


@pytest.mark.parametrize(
    ("by", "state", "asked_by", "limited"),
    [
        ("agent", "done", "agent", True),
        ("agent", "done", "operator", False),
        ("operator", "done", "agent", False),
        ("agent", "failed", "agent", False),
    ],
)
def test_the_rate_of_agents(by: str, state: str, asked_by: str, limited: bool) -> None:
    record = with_actions(AGENT_ACTIONS, by, state)
    assert (limit_fault(record, "note", asked_by, 10_999) != "") is limited
    assert limit_fault(record, "note", asked_by, 11_000) == ""
    assert limit_fault(record, "hang_up", asked_by, 10_999) == ""


def test_refused_requests_are_recorded_up_to_a_limit() -> None:
    assert is_recorded(with_actions(MAX_ACTIONS - 1), "agent")
    assert not is_recorded(with_actions(MAX_ACTIONS), "agent")
    assert is_recorded(with_actions(MAX_ACTIONS), "operator")
    assert not is_recorded(with_actions(MAX_ACTIONS + RESERVED), "operator")
