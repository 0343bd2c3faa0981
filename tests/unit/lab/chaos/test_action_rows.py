"""Rows with calls that act: which process dies, and when."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from lab.chaos.acting_evidence import ActingEvidence
from lab.chaos.acting_roles import PARTS, ROLES
from lab.chaos.action_rows import ACTION_ROWS, CALLS_FILE, MOMENTS_S, acts, alone, kill_first, outcomes
from lab.chaos.row import BEGAN, Facts, Scene


def test_every_process_has_a_row_with_all_actions() -> None:
    crashes = {f"actions-{name}-crash" for name in ("relay", "gateway", "control", "business")}
    assert crashes <= {row.name for row in ACTION_ROWS}
    for row in ACTION_ROWS:
        figures = {one.figure for one in row.targets}
        assert {"actions_doubled", "hung_up_pct", "kept_pct"} <= figures
        assert "actions_lost" in figures or row.name not in crashes
        assert row.plan.business
        assert 20 * row.acting_pct // 100 >= len(ROLES), "every role is cast in every repetition"
        assert 20 * row.acting_pct // 100 <= len(PARTS)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_the_fault_follows_the_requests_while_the_stand_in_is_ready(turn: int) -> None:
    steps = Mock()
    scene = Scene(steps.fleet, Mock(), turn, steps.acting)

    def fault(_: Scene) -> Facts:
        steps.fault()
        return {"found": 1.0}

    slept: list[float] = []
    assert acts(fault, "agent-relay", sleep=slept.append)(scene) == {"found": 1.0}
    assert slept == [MOMENTS_S[turn % 3]]
    expected = ["acting.dial", "fleet.launch_replica", "fleet.await_ready", "fleet.inject", "acting.request", "fault"]
    assert [name for name, _, _ in steps.mock_calls] == expected
    steps.fleet.launch_replica.assert_called_once_with("agent-relay-2")
    assert scene.moments[BEGAN] > 0


def test_the_process_that_dies_has_every_call() -> None:
    fleet = Mock()
    alone("media-gateway")(fleet)
    fleet.drain.assert_called_once_with("media-gateway-2")
    kill_first("media-gateway")(Scene(fleet, Mock()))
    fleet.kill.assert_called_once_with("media-gateway-1")


def test_the_calls_are_kept_to_examine_misses(tmp_path: Path) -> None:
    note = next(role for role in ROLES if role.name == "note")
    call = ActingEvidence(
        role=note,
        actions=[],
        accepted=True,
        requested_at=1.0,
        ended_at=float("inf"),
        end_reason="",
        hung_up=False,
        call_id="call_1",
    )
    acting = Mock()
    acting.evidence.return_value = [call]
    for turn in range(2):
        found = outcomes(Scene(Mock(folder=tmp_path), Mock(), turn, acting), [])
        assert found["actions_lost"] == 1
    rows = [json.loads(line) for line in (tmp_path / CALLS_FILE).read_text().splitlines()]
    assert [(row["turn"], row["role"], row["call_id"], row["lost"]) for row in rows] == [
        (0, "note", "call_1", 1),
        (1, "note", "call_1", 1),
    ]
