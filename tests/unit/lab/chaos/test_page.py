"""The generated table of docs/resilience.md: targets and measurements."""

from __future__ import annotations

import pytest

from lab.chaos.page import BEGIN, END, LABELS, PAGE_PATH, with_table
from lab.chaos.rows import ROWS

ROW = {
    "row": "relay-crash",
    "fault": "relay: kill -9",
    "calls": 20,
    "repeats": 5,
    "passed": False,
    "failure": "",
    "machine": {"cores": 2, "python": "3.11.7"},
    "measured_at": "2026-11-22T13:00:00+00:00",
    "figures": {"gap_p50_ms": 12.4, "gap_p99_ms": 2100.4, "gap_max_ms": "never", "went_on_pct": 100.0, "stale": 0.0},
    "targets": [
        {"target": "went_on_pct == 100", "holds": True},
        {"target": "stale == 0", "holds": True},
        {"target": "gap_p99_ms <= 2000", "holds": False},
    ],
}


def test_a_row_has_targets_and_measurements() -> None:
    page = with_table(f"before\n{BEGIN}\nold\n{END}\nafter\n", [ROW])
    assert page.startswith(f"before\n{BEGIN}\nMeasured on 2 cores, Python 3.11.7; 2026-11-22.\n")
    assert page.endswith(f"{END}\nafter\n")
    assert (
        "| `relay-crash` relay | kill -9 | calls that continue = 100 %<br>gap p99 ≤ 2000 ms | 100 %<br>**2100 ms** "
        "| 12 / 2100 / never | 20 × 5 | **missed** |"
    ) in page


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="the markers <!-- table -->"):
        with_table("words", [ROW])


def test_every_target_has_its_words() -> None:
    assert {target.figure for row in ROWS for target in row.targets} - {"foreign", "stale"} <= set(LABELS)


def test_the_page_has_the_marks() -> None:
    page = PAGE_PATH.read_text(encoding="utf-8")
    assert page.index(BEGIN) < page.index(END)
