"""Rows with people: which process dies, and when."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from lab.chaos.participant_rows import PEOPLE_FILE, PEOPLE_MOMENTS_S, PEOPLE_ROWS, meets, people_outcomes
from lab.chaos.people_evidence import PeopleEvidence
from lab.chaos.people_stories import MOST_CALLS, STORIES, Casting
from lab.chaos.row import BEGAN, Facts, Scene


def test_every_process_has_a_row_in_which_nobody_is_left_alone() -> None:
    crashes = {f"people-{name}-crash" for name in ("relay", "gateway", "control")}
    assert {row.name for row in PEOPLE_ROWS} == {*crashes, "people-redis-failover", "people-redis-empty"}
    for row in PEOPLE_ROWS:
        figures = {one.figure for one in row.targets}
        assert {"left_alone", "invited_twice", "not_ended"} <= figures
        assert {"outcomes_open", "outcomes_untrue", "intended_pct"} <= figures or row.name not in crashes
        assert len(STORIES) <= 20 * row.people_pct // 100 <= MOST_CALLS, "every story is part of every repetition"
        assert "targets" in json.loads(row.plan.routing)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_people_meet_before_the_fault_and_leave_with_it(turn: int) -> None:
    steps = Mock()
    scene = Scene(steps.fleet, Mock(), turn, people=steps.people)

    def fault(_: Scene) -> Facts:
        steps.fault()
        return {"found": 1.0}

    slept: list[float] = []
    assert meets(fault, "agent-relay", sleep=slept.append)(scene) == {"found": 1.0}
    assert slept == [PEOPLE_MOMENTS_S[turn % 3]]
    expected = [
        *("people.dial", "fleet.launch_replica", "fleet.await_ready", "people.meet", "people.request"),
        *("people.leave", "fault"),
    ]
    assert [name for name, _, _ in steps.mock_calls] == expected
    steps.fleet.launch_replica.assert_called_once_with("agent-relay-2")
    assert scene.moments[BEGAN] > 0


def test_the_calls_are_kept_to_examine_misses(tmp_path: Path) -> None:
    people = Mock()
    people.evidence.return_value = [
        PeopleEvidence(casting=Casting(STORIES[0], 0), connected=True, caller_there=True, call_id="call_1")
    ]
    for turn in range(2):
        assert people_outcomes(Scene(Mock(folder=tmp_path), Mock(), turn, people=people), [])["left_alone"] == 1
    rows = [json.loads(line) for line in (tmp_path / PEOPLE_FILE).read_text().splitlines()]
    assert [(row["turn"], row["story"], row["call_id"], row["alone"]) for row in rows] == [
        (0, "dialing", "call_1", True),
        (1, "dialing", "call_1", True),
    ]
