from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench import calls
from bench.bridges import Bridge, Shape
from bench.call_run import Run
from bench.calls import tables, told
from bench.whole import Options
from lab.wire import WireError
from tests.unit.support.bench_runs import made_run


def test_repeats_become_medians_and_ratios_to_the_reference() -> None:
    ours = [made_run(cpu_ms=ms) for ms in (8.0, 9.0, 7.0)]
    reference = [made_run(Bridge.REFERENCE, cpu_ms=ms) for ms in (16.0, 17.0, 15.0)]
    runs = [run for pair in zip(ours, reference, strict=True) for run in pair]
    cpu, delay, memory, frames = tables(runs)
    assert cpu.columns[-6:-1] == ["together", "ratio", "simulators", "stolen, %", "slowed, %"]
    assert [row[0] for row in cpu.rows] == ["40 calls, deltas, ours", "40 calls, deltas, reference"]
    assert [row[-6:-4] for row in cpu.rows] == [["8.0 (7.0–9.0)", "0.50"], ["16.0 (15.0–17.0)", "1.00"]]
    assert [row[-2:] for row in cpu.rows] == [["3.0", "9.0 (8.0–10.0)"], ["3.0", "17.0 (16.0–18.0)"]]
    assert delay.rows[0][1:] == ["3.0", "5.0", "7.0", "3.0", "5.0", "7.0", "17.0", "18.0", "190", "0"]
    assert [row[0] for row in memory.rows][-1] == "40 calls, deltas, reference-bridge"
    assert memory.rows[0][1:] == ["80.0", "84.0", "0.100"]
    assert frames.rows[0] == ["40 calls, deltas, ours, uplink", 1500, 0, 0, 0, 0]
    for table in (cpu, delay, memory, frames):
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_ours_alone_has_no_ratio() -> None:
    assert tables([made_run()])[0].rows[0][-5] == ""


def test_a_run_is_told_in_one_line() -> None:
    assert "8.0 ms/s/call" in told(made_run())
    assert told(made_run()).endswith("4 % stolen, 3 % slowed")
    assert "NOT CLEAN" in told(made_run(lost=1))


def test_a_run_that_failed_is_told_and_costs_no_other() -> None:
    frames = tables([made_run()], ["ours, echo, 40 calls: timed out"])[-1]
    assert len(frames.rows) == 2
    assert "ours, echo, 40 calls: timed out" in frames.notes[-1]


def test_failures_are_kept_and_the_rest_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(bridge: Bridge, shape: Shape, count: int, _seconds: float, _folder: Path) -> Run:
        if bridge is Bridge.OURS and shape is Shape.ECHO:
            raise WireError("timed out")
        return made_run(bridge, shape=shape, calls=count)

    monkeypatch.setattr(calls, "run_calls", run)
    outcome = calls.measure(Options(calls=(10,), runs=2))
    assert outcome.figures["failed"] == ["ours, echo, 10 calls: timed out"] * 2
    assert isinstance(outcome.figures["runs"], list)
    assert len(outcome.figures["runs"]) == 2 * 3


def test_a_run_of_which_much_was_stolen_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stolen = iter([40.0, 1.0])
    monkeypatch.setattr(calls, "run_calls", lambda *_: replace(made_run(), stolen_pct=next(stolen)))
    assert calls.quiet_run(Bridge.OURS, Shape.DELTAS, 10, 1.0, Path()).stolen_pct == 1.0
