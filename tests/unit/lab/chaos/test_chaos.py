"""The command `lab chaos`: unknown rows, repetitions, stored results, and the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from unittest.mock import Mock

import pytest

from lab.chaos.chaos import Repetition, chaos, keep, kept, recorded, repeat, report, run_row, write_page
from lab.chaos.local_fleet import FleetPlan, LocalFleet
from lab.chaos.page import BEGIN, END
from lab.chaos.result import RowResult
from lab.chaos.row import ChaosRow, Scene
from lab.chaos.rows import ROWS
from lab.metric_recorder import MetricRecorder
from lab.stack import StackError


def test_an_unknown_row_ends_with_2_and_the_names_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert chaos("earthquake", tmp_path, calls=1, repeats=1) == 2
    message = capsys.readouterr().err
    assert "earthquake" in message
    assert "relay-crash" in message


def test_the_report_names_machine_rows_and_targets() -> None:
    reported = json.loads(json.dumps(report([RowResult(row, failure="no Redis") for row in ROWS])))
    assert all(row["machine"]["cores"] for row in reported)
    assert [row["row"] for row in reported] == [row.name for row in ROWS]
    assert not any(row["passed"] for row in reported)


def test_runs_of_some_rows_add_up_to_the_table(tmp_path: Path) -> None:
    path = tmp_path / "out" / "chaos.json"
    calm, crash, frozen = (RowResult(row, failure="first") for row in ROWS[:3])
    keep(path, report([frozen]))
    keep(path, report([calm, crash]))
    keep(path, report([RowResult(ROWS[1], failure="again")]))
    found = [(row["row"], row["failure"]) for row in kept(path)]
    assert found == [(ROWS[0].name, "first"), (ROWS[1].name, "again"), (ROWS[2].name, "first")]


def test_parallel_repetitions_have_separate_fleets(tmp_path: Path) -> None:
    fleets, met = Fleets(), Barrier(2)

    def repeat(_: ChaosRow, fleet: LocalFleet, turn: int, calls: int) -> Repetition:
        met.wait(10)  # Passes only if two repetitions run in parallel.
        assert fleet.folder in fleets.running
        return [], calls, {"worst": float(turn)}

    row = replace(ROWS[0], at_once=2)
    result = run_row(row, tmp_path, calls=3, repeats=4, start_fleet=fleets.start, repeat=repeat)
    assert (result.repeats, result.placed, result.facts, result.failure) == (4, 12, {"worst": 3.0}, "")
    assert fleets.started == [tmp_path / "1", tmp_path / "2"]
    assert not fleets.running


def test_a_recorded_fleet_is_scraped_until_it_stops(tmp_path: Path) -> None:
    fleets, recorder = Fleets(), MetricRecorder()
    with recorded(fleets.start, recorder)(FleetPlan(), tmp_path) as fleet:
        assert fleet.folder in fleets.running
    assert not fleets.running
    assert recorder.book.text() == "# EOF\n"  # this fleet has no processes


def test_a_repetition_that_fails_ends_the_row(tmp_path: Path) -> None:
    fleets = Fleets()

    def repeat(_: ChaosRow, __: LocalFleet, turn: int, calls: int) -> Repetition:
        if turn == 1:
            raise StackError("a relay did not start")
        return [], calls, {}

    result = run_row(ROWS[0], tmp_path, calls=3, repeats=4, start_fleet=fleets.start, repeat=repeat)
    assert (result.repeats, result.failure) == (1, "StackError: a relay did not start")
    assert fleets.started == [tmp_path]
    assert not fleets.running


def test_a_row_prepares_the_fleet_before_the_callers_dial_and_before_the_fault() -> None:
    scene = Mock()
    scene.crowd.answered = 3
    scene.crowd.placed = {}
    scene.crowd.traces.return_value = []
    scene.inject.return_value = {}
    scene.fleet.owners.return_value = {}
    make_crowd = Mock(return_value=scene.crowd)
    row = replace(ROWS[0], inject=scene.inject, before_dialing=scene.empty, before_fault=scene.full, watch_s=0)
    row = replace(row, recorded=True)
    repeat(row, scene.fleet, turn=2, calls=3, make_crowd=make_crowd, settle_s=0)
    expected = ["fleet.clear_faults", "empty", "crowd.dial", "full", "inject", "fleet.clear_faults", "crowd.hang_up"]
    assert [name for name, _, _ in scene.mock_calls if name in expected] == expected
    make_crowd.assert_called_once_with(scene.fleet, first=7, count=3, recorded=True)


def test_calls_that_act_are_not_among_those_that_exchange_marks() -> None:
    made, seen = Mock(), []
    made.return_value.answered = 4
    made.return_value.placed = {}
    made.return_value.traces.return_value = []
    fleet = Mock()
    fleet.owners.return_value = {}

    def inject(scene: Scene) -> dict[str, float]:
        assert scene.acting is not None
        seen.append(len(scene.acting.parts))
        return {}

    repeat(replace(ROWS[0], inject=inject, acting_pct=80, watch_s=0), fleet, 1, 20, make_crowd=made, settle_s=0)
    assert seen == [16]
    made.assert_called_once_with(fleet, first=5, count=4, recorded=False)


class Fleets:
    """Test double for `running_fleet`. A fleet has only a folder."""

    def __init__(self) -> None:
        self.started: list[Path] = []
        self.running: set[Path] = set()

    @contextmanager
    def start(self, _: FleetPlan, folder: Path) -> Iterator[LocalFleet]:
        self.started.append(folder)
        self.running.add(folder)
        try:
            yield Mock(folder=folder, processes=[])
        finally:
            self.running.remove(folder)


def test_the_page_is_written_from_stored_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, path = tmp_path / "resilience.md", tmp_path / "chaos.json"
    page.write_text(f"words\n{BEGIN}\nold\n{END}\nmore words\n")
    assert write_page(path, page) == 2
    assert "make chaos" in capsys.readouterr().err
    keep(path, report([RowResult(row, failure="no Redis") for row in ROWS]))
    assert write_page(path, page) == 0
    assert all(f"`{row.name}`" in page.read_text() for row in ROWS)
    assert "\nold\n" not in page.read_text()
