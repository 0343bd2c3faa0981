from __future__ import annotations

import json

from bench.table import Table, best_us


def test_a_table_prints_aligned_and_stores_as_json() -> None:
    table = Table("Title", ["", "µs"], [["one", 1.25], ["two, longer", 100.0]], ["a note"])
    assert table.render().splitlines() == [
        "Title",
        "",
        "                µs",
        "-----------  -----",
        "one            1.2",
        "two, longer  100.0",
        "  a note",
    ]
    assert json.loads(json.dumps(table.as_dict()))["rows"] == [["one", 1.25], ["two, longer", 100.0]]


def test_timing_counts_one_call() -> None:
    calls = []
    assert best_us(lambda: calls.append(1), repeats=2, calls=10) > 0
    assert len(calls) == 20
