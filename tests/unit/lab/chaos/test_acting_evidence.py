"""The judgment on acting calls: nothing lost, nothing doubled, and each hang-up ends its call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab.chaos.acting_evidence import (
    ActingEvidence,
    doubled,
    figures,
    hung_up_by_us,
    lost,
    refused_by_tools,
    requested_by_agent,
    tones_to_caller,
)
from lab.chaos.acting_roles import ROLES, TONES, Role

FOREVER = float("inf")


def role(name: str) -> Role:
    return next(one for one in ROLES if one.name == name)


def entry(one: Role, state: str = "done", reason: str = "") -> dict[str, Any]:
    [wanted] = one.actions
    return {
        "action": wanted.action, "arguments": wanted.arguments, "by": wanted.by, "state": state, "reason": reason
    }  # fmt: skip


def call(name: str, **changes: Any) -> ActingEvidence:
    """A call in which everything went well."""
    one = role(name)
    good = ActingEvidence(
        role=one,
        actions=[entry(one)] if len(one.actions) == 1 else [],
        accepted=True,
        requested_at=10.0,
        ended_at=16.0 if one.ends else FOREVER,
        end_reason="hung_up_by_agent" if one.ends else "caller_hung_up",
        hung_up=one.ends,
        tones=one.tones,
        bookings=int(one.books),
        announcements=["spoken"] if one.announcement else [],
    )
    return replace(good, **changes)


@pytest.mark.parametrize("name", ["tones", "goodbye-before", "goodbye-mcp", "note", "booking", "announcement"])
def test_a_call_in_which_everything_went_well(name: str) -> None:
    assert (lost(call(name)), doubled(call(name))) == (0, 0)


TONES_ROLE, GOODBYE_ROLE = role("tones"), role("goodbye-before")


@pytest.mark.parametrize(
    "bad",
    [
        call("tones", actions=[]),
        call("tones", actions=[entry(TONES_ROLE, "running")]),
        call("tones", actions=[entry(TONES_ROLE, "failed")]),
        call("tones", tones=TONES[:3]),
        call("goodbye-before", end_reason="caller_hung_up"),
        call("booking", bookings=0),
        call("announcement", announcements=[]),
        call("tones", accepted=False, actions=[entry(TONES_ROLE, "running")]),
    ],
)
def test_a_lost_action(bad: ActingEvidence) -> None:
    assert (lost(bad), doubled(bad)) == (1, 0)


def test_an_action_that_failed_with_a_reason_is_not_lost() -> None:
    assert lost(call("tones", actions=[entry(TONES_ROLE, "failed", "8510/0")], tones="")) == 0
    assert lost(call("goodbye-before", actions=[entry(GOODBYE_ROLE, "canceled", "the caller is still talking")])) == 0


def test_a_refused_request_may_have_been_carried_out_once() -> None:
    assert lost(call("tones", accepted=False, actions=[], tones="")) == 0
    assert doubled(call("tones", accepted=False)) == 0


@pytest.mark.parametrize(
    "bad",
    [
        call("tones", actions=[entry(TONES_ROLE)] * 2),
        call("tones", tones=TONES + TONES[0]),
        call("booking", bookings=2),
        call("announcement", announcements=["spoken", "spoken"]),
    ],
)
def test_a_doubled_action(bad: ActingEvidence) -> None:
    assert (lost(bad), doubled(bad)) == (0, 1)


def test_the_figures_have_the_worst_call() -> None:
    found = figures(
        [
            call("goodbye-before", ended_at=22.0, heard=0.5),
            call("goodbye-mcp", end_reason="caller_hung_up", ended_at=FOREVER, hung_up=False),
            call("tones", ended_at=11.0),
            call("note"),
            call("booking", accepted=False),
        ]
    )
    assert found["acting_calls"] == 5
    assert (found["actions_lost"], found["actions_doubled"], found["requests_refused"]) == (1, 0, 1)
    assert (found["hung_up_pct"], found["closing_s"]) == (50, FOREVER)
    assert found["kept_pct"] == pytest.approx(200 / 3)
    assert (found["goodbye_heard_pct"], found["goodbyes_whole_pct"]) == (50, 0)


def test_the_simulators_know_when_an_agent_acted() -> None:
    silent = {"timeline": [{"t": 1.0, "event": "session_created"}]}
    assert requested_by_agent([silent]) == FOREVER
    assert requested_by_agent([silent, {"timeline": [{"t": 3.0, "event": "function_call"}]}]) == 3.0
    failed = {"t": 4.0, "event": "agent_tool", "status": 0, "answer": "the tool failed"}
    refused = {"t": 4.5, "event": "agent_tool", "status": 200, "answer": '{"ok": false}'}
    good = {"t": 5.0, "event": "agent_tool", "status": 200, "answer": '{"ok": true, "state": "accepted"}'}
    assert requested_by_agent([{"timeline": [failed, refused, good]}]) == 5.0
    assert refused_by_tools([{"timeline": [failed, refused]}])
    assert not refused_by_tools([{"timeline": [failed]}, {"timeline": [good]}])
    assert not refused_by_tools([silent])


@pytest.mark.parametrize(("reason", "ours"), [("agent_hung_up", True), ("caller_hung_up", False)])
def test_who_hung_up(reason: str, *, ours: bool) -> None:
    assert hung_up_by_us({"timeline": [{"event": "hang_up", "reason": reason}]}) is ours


def test_only_tones_to_the_caller_count() -> None:
    rows = [{"event": "dtmf", "tone": tone, "by": by} for tone, by in (("1", "agent"), ("9", "caller"), ("2", "agent"))]
    assert tones_to_caller({"timeline": rows}) == "12"
