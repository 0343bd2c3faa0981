"""`python -m sizing` prints or writes the tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sizing.__main__ import main
from sizing.measured import load
from sizing.rows import Row
from sizing.simulation.arrivals import Curve

ROWS = [Row("10 calls", Curve.level(10), 1)]
NAMES = ("plan", "capacities", "targets", "clusters", "simulation", "cost", "measured", "check")


def test_the_tables_are_printed_or_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "sizing.md"
    page.write_text("".join(f"<!-- {name} -->\n<!-- end of {name} -->\n" for name in NAMES), encoding="utf-8")
    assert main([], page=page, simulated=ROWS) == 0
    assert "| agent-relay: pods |" in capsys.readouterr().out
    assert main(["--write"], page=page, simulated=ROWS) == 0
    assert "| 10 calls | 1 |" in page.read_text(encoding="utf-8")


def test_a_missed_goal_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    impossible = [Row("10 calls", Curve.level(10), 0.1, diverted_below=0.0)]
    assert main([], simulated=impossible) == 1
    assert "goal missed: 10 calls: diverted 0.000%" in capsys.readouterr().err


def test_new_figures_are_stored_first(tmp_path: Path, whole: dict[str, Any]) -> None:
    results, stored = tmp_path / "bench.json", tmp_path / "measured.json"
    figures = {"at_unix_s": 1_800_000_000, "machine": ["A CPU, 2 cores"], "options": {}, "whole": whole}
    results.write_text(json.dumps(figures), encoding="utf-8")
    assert main(["--measured"], stored=stored, results=results, simulated=[]) == 0
    assert load(stored).measured.control_ms_per_call == 30.0


def test_missing_figures_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--measured"], results=tmp_path / "none.json", simulated=[]) == 1
    assert "none.json not found" in capsys.readouterr().err
