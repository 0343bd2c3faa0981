from __future__ import annotations

import json

from bench.machine import machine
from bench.results import markdown
from bench.table import Table


def test_tables_become_sections_with_the_machine_above_them() -> None:
    table = Table("Codecs", ["", "µs"], [["one", 1.25]], ["a note"])
    results = {
        "at_unix_s": 1_795_400_000,
        "machine": machine() | {"load_average_after": [0.5, 0.5, 0.5]},
        "options": {"runs": 3},
        "tables": {"codecs": [table.as_dict()]},
        "whole": {"answer": {"p99": 12.0, "count": 9, "calls": 9, "all_time": {"p99": 20.0, "count": 10}}},
    }
    text = markdown(json.loads(json.dumps(results)))
    assert text.startswith("# Results\n")
    assert "Measured 2026-11-23" in text or "Measured 2026-11-22" in text
    assert "- options: runs 3" in text
    assert "| IncomingCall to answer request, p99, ms | 12.0 | 50 | yes |" in text
    assert "## Codecs\n\n|  | µs |\n| --- | --: |\n| one | 1.2 |\n\na note\n" in text
