from __future__ import annotations

import json
import platform
from dataclasses import asdict

from bench.report import Table, describe_machine, grouped, results_page

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


def test_runs_with_the_same_label_share_a_row() -> None:
    runs = [("b", 1.0), ("a", 5.0), ("b", 3.0)]
    table = grouped(
        "Title", runs, lambda run: run[0], {"value": lambda run: run[1], "none": lambda _: None}, ["a note"]
    )
    assert table == Table(
        "Title", ["", "value", "none"], [["b", "2.00 (1.00–3.00)", ""], ["a", "5.00", ""]], ["a note"]
    )


def test_tables_become_sections_below_the_machine() -> None:
    results = {
        "at_unix_s": 1_795_400_000,
        "machine": describe_machine(),
        "options": {"runs": 3, "calls": [40]},
        "tables": {"calls": [asdict(TABLE)]},
    }
    text = results_page(json.loads(json.dumps(results)))
    assert text.startswith("# Benchmark results\n")
    assert "Measured 2026-11-23" in text or "Measured 2026-11-22" in text
    assert "- runs 3, calls [40]\n" in text
    assert "## Title\n\n|  | µs |\n| --- | --: |\n| one | 1.2 |\n| two, longer | 100.0 |\n\na note\n" in text


def test_the_machine_is_described_in_a_few_lines() -> None:
    lines = describe_machine()
    assert platform.python_version() in lines[1]
    assert " cores, " in lines[0]
    assert "uvicorn 0." in lines[1]
    assert lines[-1] == "services from source, not compiled", "only the *.pyx are compiled in the unit tests"
