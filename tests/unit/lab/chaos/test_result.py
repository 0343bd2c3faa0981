"""Figures of a row, and whether its targets are met."""

from __future__ import annotations

import json

import pytest

from lab.chaos.call_evidence import CallOutcome, DirectionTrace
from lab.chaos.result import RowResult, head, line
from lab.chaos.row import GOES_ON, ChaosRow, FaultTarget, nothing


def way(gap_ms: float, *, went_on: bool = True, lost: int = 0, after_dial_ms: float | None = None) -> DirectionTrace:
    return DirectionTrace(
        went_on=went_on,
        gap_ms=gap_ms,
        own_gap_ms=gap_ms / 2,
        gap_at_s=1.0,
        sent=100,
        lost=lost,
        repeated=0,
        disordered=0,
        foreign=0,
        stale=0,
        delays_ms=[3.0, 4.0],
        after_dial_ms=after_dial_ms,
    )


def row(*targets: FaultTarget) -> ChaosRow:
    return ChaosRow(name="test", fault="none", inject=nothing, watch_s=0, targets=(*GOES_ON, *targets))


def call(number: int, up: DirectionTrace, down: DirectionTrace, *, connected: bool = True) -> CallOutcome:
    return CallOutcome(number, up, down, 1, connected)


def test_gaps_are_over_all_calls_and_directions() -> None:
    result = RowResult(row(FaultTarget("gap_p99_ms", "<=", 500), FaultTarget("exit_s", "<=", 2)))
    result.add([call(1, way(10), way(20, lost=4))], 1, {"exit_s": 1.0, "answered_pct": 100.0})
    result.add([call(2, way(30), way(400, after_dial_ms=70))], 1, {"exit_s": 1.5, "answered_pct": 50.0})
    figures = result.figures()
    assert (figures["calls"], figures["went_on_pct"], result.repeats) == (2, 100, 2)
    assert (figures["gap_p50_ms"], figures["gap_max_ms"], figures["own_gap_max_ms"]) == (30, 400, 200)
    assert (figures["downlink_gap_max_ms"], figures["uplink_gap_max_ms"]) == (400, 30)
    assert figures["lost_pct"] == pytest.approx(1.0)
    assert (figures["exit_s"], figures["answered_pct"]) == (1.5, 50)
    assert figures["after_dial_p99_ms"] == 70
    assert result.passed
    assert line(result).endswith("passed  [answered_pct 50, exit_s 1.50]")
    assert len(head().split("verdict")) == 2


def test_one_call_that_ends_misses_the_row() -> None:
    result = RowResult(row())
    result.add([call(1, way(10), way(20)), call(2, way(900), way(20, went_on=False))], 3, {})
    assert result.figures()["went_on_pct"] == pytest.approx(100 / 3)
    assert not result.passed
    assert "MISSED went_on_pct == 100 (is 33.33)" in line(result)
    assert [one.number for one in result.worst()] == [2, 1]
    stored = json.loads(json.dumps(result.as_json()))
    assert stored["targets"][0] == {"target": "went_on_pct == 100", "holds": False}
    assert stored["worst"][0]["uplink"]["gap_ms"] == 900


def test_a_row_that_could_not_be_completed_has_the_reason() -> None:
    result = RowResult(row(), failure="StackError: no relay")
    assert not result.passed
    assert "no relay" in line(result)


def test_an_infinite_figure_is_a_word_in_json() -> None:
    result = RowResult(row())
    result.add([call(1, way(1), way(1))], 1, {"resumed_s": float("inf")})
    assert result.as_json()["figures"]["resumed_s"] == "never"
    assert "resumed_s never" in line(result)


def test_the_gap_beyond_an_outage_is_a_figure_of_its_own() -> None:
    result = RowResult(row())
    result.add([call(1, way(1), way(1500))], 1, {"down_s": 1.2})
    assert result.figures()["gap_beyond_down_ms"] == pytest.approx(300)
