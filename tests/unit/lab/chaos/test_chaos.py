"""The command: what it says when nothing can be run, and what it writes down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.chaos.chaos import chaos, keep, kept, report, write_page
from lab.chaos.page import BEGIN, END
from lab.chaos.result import RowResult
from lab.chaos.rows import ROWS


def test_an_unknown_row_ends_with_2_and_the_names_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert chaos("earthquake", tmp_path, calls=1, repeats=1) == 2
    told = capsys.readouterr().err
    assert "earthquake" in told
    assert "relay-crash" in told


def test_the_report_names_machine_rows_and_targets() -> None:
    told = json.loads(json.dumps(report([RowResult(row, failure="no Redis") for row in ROWS])))
    assert all(row["machine"]["cores"] for row in told)
    assert [row["row"] for row in told] == [row.name for row in ROWS]
    assert not any(row["passed"] for row in told)


def test_runs_of_some_rows_add_up_to_the_table(tmp_path: Path) -> None:
    path = tmp_path / "out" / "chaos.json"
    calm, crash, frozen = (RowResult(row, failure="first") for row in ROWS[:3])
    keep(path, report([frozen]))
    keep(path, report([calm, crash]))
    keep(path, report([RowResult(ROWS[1], failure="again")]))
    found = [(row["row"], row["failure"]) for row in kept(path)]
    assert found == [(ROWS[0].name, "first"), (ROWS[1].name, "again"), (ROWS[2].name, "first")]


def test_the_page_is_written_from_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, path = tmp_path / "resilience.md", tmp_path / "chaos.json"
    page.write_text(f"words\n{BEGIN}\nold\n{END}\nmore words\n")
    monkeypatch.setattr("lab.chaos.chaos.PAGE_PATH", page)
    assert write_page(path) == 2
    assert "make chaos" in capsys.readouterr().err
    keep(path, report([RowResult(row, failure="no Redis") for row in ROWS]))
    assert write_page(path) == 0
    assert all(f"`{row.name}`" in page.read_text() for row in ROWS)
    assert "old" not in page.read_text()
