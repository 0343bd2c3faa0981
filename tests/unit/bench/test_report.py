from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict

from bench.bridges import Bridge
from bench.report import Cell, Table, describe_machine, results_page, table_of
from bench.runs import Outcome, Run

MakeRun = Callable[..., Run]
TABLE = Table("Title", ["", "µs"], [["one", 1.25], ["two, longer", 100.0]], ["a note"])


def test_a_table_prints_aligned_and_stores_as_json() -> None:
    assert TABLE.render().splitlines() == [
        "Title",
        "",
        "                µs",
        "-----------  -----",
        "one            1.2",
        "two, longer  100.0",
        "  a note",
    ]
    assert json.loads(json.dumps(asdict(TABLE)))["rows"] == [["one", 1.25], ["two, longer", 100.0]]


def rows(outcome: Outcome) -> dict[str, Sequence[Cell]]:
    return {str(row[0]): row[1:] for row in table_of(outcome).rows}


def pairs(call_run: MakeRun, *cpu_ms: tuple[float, float]) -> list[Run]:
    return [call_run(bridge, cpu_ms=ms) for pair in cpu_ms for bridge, ms in zip(Bridge, pair, strict=True)]


def test_ours_is_judged_by_the_reference_of_the_same_run(call_run: MakeRun) -> None:
    limits = {"CPU, ms/s/call": 1.0, "uplink p50, ms": 3.0}
    outcome = Outcome("Calls", pairs(call_run, (8.0, 16.0), (9.0, 18.0), (7.0, 14.0)), ["died"], ["a note"], limits)
    found = rows(outcome)
    ratio = ["8.00 (7.00–9.00)", "16.0 (14.0–18.0)", "0.500 (0.500 to 0.500)", "× 1", "no"]
    assert found["40 calls, deltas: CPU, ms/s/call"] == ratio
    difference = ["3.00", "3.00", "0.000 (0.000 to 0.000)", "+ 3", "no"]
    assert found["40 calls, deltas: uplink p50, ms"] == difference
    assert found["40 calls, deltas: uplink p99, ms"][-2:] == ["", ""], "it has no limit"
    assert found["40 calls, deltas: frames at fault"] == ["0", "0", "", "", ""], "nothing has no ratio"
    assert found["40 calls, deltas: CPU of media-gateway, ms/s/call"] == ["4.00 (3.50–4.50)", "", "", "", ""]
    table = table_of(outcome)
    assert list(table.notes) == ["a note", "FAILED, without figures: died"]
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_exceeded_limits_are_shown(call_run: MakeRun) -> None:
    slow = [call_run(cpu_ms=20.0, p99=30.0), call_run(Bridge.REFERENCE, cpu_ms=16.0, p99=20.0)] * 2
    found = rows(Outcome("Calls", slow, limits={"CPU, ms/s/call": 1.0, "uplink p99, ms": 6.0, "uplink p50, ms": 3.0}))
    assert [row[-1] for row in found.values() if row[-1]] == ["yes", "no", "yes"]


def test_one_pair_is_not_enough_for_a_verdict(call_run: MakeRun) -> None:
    found = rows(Outcome("Calls", pairs(call_run, (20.0, 10.0)), limits={"CPU, ms/s/call": 1.0}))
    assert found["40 calls, deltas: CPU, ms/s/call"][-1] == "undecided"


def test_a_figure_that_one_run_lacks_is_judged_by_the_other_pairs(call_run: MakeRun) -> None:
    runs = pairs(call_run, (8.0, 16.0), (9.0, 18.0))
    runs[0] = Run(runs[0].labels, Bridge.OURS, {"calls not answered": 40})
    found = rows(Outcome("Calls", runs, limits={"CPU, ms/s/call": 1.0}))
    assert found["40 calls, deltas: CPU, ms/s/call"] == ["9.00", "17.0 (16.0–18.0)", "0.500", "× 1", "undecided"]
    assert found["40 calls, deltas: calls not answered"] == ["20 (0–40)", "0", "", "", ""]


def test_sizes_are_judged_by_themselves(call_run: MakeRun) -> None:
    runs = [call_run(bridge, calls=calls) for calls in (20, 40) for bridge in Bridge]
    assert {name.split(",")[0] for name in rows(Outcome("Calls", runs))} == {"20 calls", "40 calls"}


def test_runs_without_a_partner_have_a_row_for_each_case(call_run: MakeRun) -> None:
    runs = [
        call_run(cpu_ms=8.0),
        call_run(cpu_ms=9.0),
        Run({"calls": 40, "shape": "echo"}, Bridge.OURS, {"other": 1.0}),
    ]
    table = table_of(Outcome("Alone", runs, compared=False))
    assert table.columns[1] == "CPU, ms/s/call"
    assert table.columns[-1] == "other"
    assert [row[0] for row in table.rows] == ["40 calls, deltas, ours", "40 calls, echo, ours"]
    assert [row[1] for row in table.rows] == ["8.50 (8.00–9.00)", ""]
    assert [row[-1] for row in table.rows] == ["", "1.00"]


def test_results_become_sections_below_the_machine(call_run: MakeRun) -> None:
    outcome = Outcome("Calls", pairs(call_run, (8.0, 16.0)), notes=["a note"], limits={"CPU, ms/s/call": 1.0})
    results = {
        "at_unix_s": 1_795_400_000,
        "machine": describe_machine(),
        "options": {"runs": 3, "calls": [40]},
        "whole": {"calls": asdict(outcome)},
    }
    text = results_page(json.loads(json.dumps(results)))
    assert text.startswith("# Benchmark results\n")
    assert "Measured 2026-11-23" in text or "Measured 2026-11-22" in text
    assert "- runs 3, calls [40]\n" in text
    assert "## Calls\n\n|  | ours | reference | beside the reference | limit | exceeded |\n| --- | --: |" in text
    assert "| 40 calls, deltas: CPU, ms/s/call | 8.00 | 16.0 | 0.500 | × 1 | undecided |" in text
    assert text.endswith("\na note\n")


def test_a_table_becomes_markdown() -> None:
    assert (
        TABLE.markdown() == "## Title\n\n|  | µs |\n| --- | --: |\n| one | 1.2 |\n| two, longer | 100.0 |\n\na note\n"
    )


def test_the_machine_is_described_in_a_few_lines() -> None:
    lines = describe_machine()
    assert platform.python_version() in lines[1]
    assert " cores, " in lines[0]
    assert "uvicorn 0." in lines[1]
    assert lines[-1] == "services from source, not compiled", "only the *.pyx are compiled in the unit tests"
