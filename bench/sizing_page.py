"""docs/sizing.md: its words are written by hand, the figures between two marks by `python -m bench --write-results`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.machine import describe
from bench.results import section
from bench.sizing_tables import tables

PAGE_PATH: Final = Path(__file__).resolve().parents[1] / "docs" / "sizing.md"
BEGIN: Final = "<!-- figures -->"
END: Final = "<!-- end of figures -->"


def with_figures(page: str, results: Mapping[str, Any]) -> str:
    """The page with the figures of this measurement. Raises `NotMeasuredError`."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    at = datetime.fromtimestamp(results["at_unix_s"], UTC)
    lines = [BEGIN, f"Measured {at:%Y-%m-%d %H:%M} UTC on", ""]
    lines += [f"- {fact}" for fact in describe(results["machine"])] + [""]
    for table in tables(results["whole"]):
        lines += section(table)
    return before + "\n".join([*lines, END]) + after
