"""The command: what it says when nothing can be run, and what it writes down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.chaos.chaos import chaos, report
from lab.chaos.result import RowResult
from lab.chaos.rows import ROWS


def test_an_unknown_row_ends_with_2_and_the_names_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert chaos("earthquake", tmp_path, calls=1, repeats=1) == 2
    told = capsys.readouterr().err
    assert "earthquake" in told
    assert "relay-crash" in told


def test_the_report_names_machine_rows_and_targets() -> None:
    told = json.loads(json.dumps(report([RowResult(row, failure="no Redis") for row in ROWS], 6)))
    assert told["calls"] == 6
    assert told["machine"]["cores"]
    assert [row["row"] for row in told["rows"]] == [row.name for row in ROWS]
    assert not any(row["passed"] for row in told["rows"])
