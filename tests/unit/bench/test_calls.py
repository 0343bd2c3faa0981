from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench import calls
from bench.bridges import Bridge, Shape
from bench.call_run import Run
from bench.calls import one_line, tables
from bench.report import Options, Table
from lab.wire import WireError
from tests.unit.support.bench_runs import made_run

MakeRun = Callable[..., Run]


def pairs_of(call_run: MakeRun, *cpu_ms: tuple[float, float]) -> list[tuple[Run, Run]]:
    return [(call_run(cpu_ms=ours), call_run(Bridge.REFERENCE, cpu_ms=reference)) for ours, reference in cpu_ms]


def column(table: Table, name: str) -> list[object]:
    return [row[table.columns.index(name)] for row in table.rows]


def test_ours_is_judged_by_the_reference_of_the_same_run(call_run: MakeRun) -> None:
    comparison, *_ = tables(pairs_of(call_run, (8.0, 16.0), (9.0, 18.0), (7.0, 14.0)))
    cpu, uplink_p50, *_ = comparison.rows
    name = "40 calls, deltas: CPU, ms/s/call"
    assert cpu == [name, "8.00 (7.00–9.00)", "16.0 (14.0–18.0)", "0.500 (0.500 to 0.500)", "× 1", "no"]
    assert uplink_p50[1:] == ["3.00", "3.00", "0.000 (0.000 to 0.000)", "+ 3", "no"]
    assert len(comparison.rows) == 1 + 2 * 2


def test_what_exceeds_its_limit_is_shown(call_run: MakeRun) -> None:
    slow = [(call_run(cpu_ms=20.0, p99=30.0), call_run(Bridge.REFERENCE, cpu_ms=16.0, p99=20.0))] * 2
    exceeded = {str(row[0]): row[-1] for row in tables(slow)[0].rows}
    assert {name for name, answer in exceeded.items() if answer == "yes"} == {
        "40 calls, deltas: CPU, ms/s/call",
        "40 calls, deltas: uplink delay p99, ms",
        "40 calls, deltas: downlink delay p99, ms",
    }


def test_one_pair_is_not_enough_for_a_verdict(call_run: MakeRun) -> None:
    comparison, *_ = tables(pairs_of(call_run, (20.0, 10.0)))
    assert set(column(comparison, "exceeded")) == {"undecided"}


def test_the_other_tables_have_a_row_for_each_bridge(call_run: MakeRun) -> None:
    _, cpu, delay, memory = tables(pairs_of(call_run, (8.0, 16.0), (9.0, 18.0)))
    labels = ["40 calls, deltas, ours", "40 calls, deltas, reference"]
    assert column(cpu, "") == column(delay, "") == labels
    assert column(cpu, "together") == ["8.50 (8.00–9.00)", "17.0 (16.0–18.0)"]
    assert column(cpu, "media-gateway") == ["4.25 (4.00–4.50)", ""]
    assert column(delay, "downlink p99") == ["7.00", "7.00"]
    assert "uplink 1.67, downlink 1.69" in delay.notes[0]
    assert column(memory, "")[-1] == "40 calls, deltas, reference, reference-bridge"
    assert memory.rows[0][1:] == ["80.0", "84.0", "0.10"]
    for table in (cpu, delay, memory):
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_faulty_frames_and_missing_calls_are_counted(call_run: MakeRun) -> None:
    delay = tables([(call_run(lost=2), call_run(Bridge.REFERENCE))])[2]
    assert column(delay, "frames at fault") == ["2", "0"]
    assert column(delay, "not answered") == ["0", "0"]


def test_a_run_is_shown_in_one_line(call_run: MakeRun) -> None:
    assert "8.0 ms/s/call" in one_line(call_run())
    assert one_line(call_run()).endswith("4 % steal")
    assert "NOT CLEAN" in one_line(call_run(lost=1))


def test_failures_are_listed_and_the_rest_is_measured(call_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[Bridge] = []

    def run(bridge: Bridge, shape: Shape, count: int, _seconds: float, _folder: Path) -> Run:
        order.append(bridge)
        if bridge is Bridge.OURS and shape is Shape.ECHO:
            raise WireError("timed out")
        return call_run(bridge, shape=shape, calls=count)

    monkeypatch.setattr(calls, "run_calls", run)
    outcome = calls.measure(Options(calls=(10,), runs=2))
    assert outcome.figures["failed"] == ["ours, echo, 10 calls: timed out"] * 2
    assert len(outcome.figures["runs"]) == 2 * 2, "a run without its pair has no use"
    assert "ours, echo, 10 calls: timed out" in outcome.tables[0].notes[-1]
    assert order == [Bridge.OURS, Bridge.REFERENCE] * 2 + [Bridge.REFERENCE, Bridge.OURS] * 2
