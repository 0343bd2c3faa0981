"""The table of faults: rows can be chosen, and each has targets that can be measured."""

from __future__ import annotations

import pytest

from lab.chaos.result import RowResult
from lab.chaos.rows import ROWS, chosen


def test_rows_have_unique_names_and_targets() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(row.targets and row.fault for row in ROWS)


def test_an_unmeasured_row_does_not_pass() -> None:
    assert not any(RowResult(row).passed for row in ROWS)


def test_rows_are_chosen_by_name_or_the_quick_ones() -> None:
    assert [row.name for row in chosen("relay-drain, relay-crash", quick=False)] == ["relay-drain", "relay-crash"]
    assert chosen("", quick=False) == list(ROWS)
    assert {"relay-crash", "relay-drain"} <= {row.name for row in chosen("", quick=True)}
    with pytest.raises(ValueError, match="unknown row: relay-smash; known rows: "):
        chosen("relay-smash", quick=False)
