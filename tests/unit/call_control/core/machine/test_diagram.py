"""docs/call-states.md shows the table as it is."""

from __future__ import annotations

from pathlib import Path

from call_control.core.machine.call_machine import TABLE
from call_control.core.machine.diagram import listing, mermaid, page

PAGE = Path(__file__).parents[5] / "docs" / "call-states.md"


def test_the_page_is_made_from_the_table() -> None:
    assert PAGE.read_text() == page(), "run: python -m call_control.call_states > docs/call-states.md"


def test_every_move_and_every_row_is_shown() -> None:
    for row in TABLE:
        if row.at is not row.to:
            assert f"    {row.at} --> {row.to}: " in mermaid()
    assert len(listing().splitlines()) == len(TABLE) + 2
