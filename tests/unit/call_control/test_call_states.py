"""docs/call-states.md matches the table of the call machine."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from call_control.call_states import listing, mermaid, page
from call_control.core.machine.call_table import TABLE

PAGE = Path(__file__).parents[3] / "docs" / "call-states.md"


def test_the_page_is_generated_from_the_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PAGE.read_text() == page(), "run: python -m call_control.call_states > docs/call-states.md"
    monkeypatch.delitem(sys.modules, "call_control.call_states")
    runpy.run_module("call_control.call_states", run_name="__main__")
    assert capsys.readouterr().out == page()


def test_every_move_and_every_row_is_shown() -> None:
    for row in TABLE:
        if row.at is not row.to:
            assert f"    {row.at} --> {row.to}: " in mermaid()
    assert len(listing().splitlines()) == len(TABLE) + 2
