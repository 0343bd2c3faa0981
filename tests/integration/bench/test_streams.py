"""On a real Redis: every entry that is measured was really written and read."""

from __future__ import annotations

import pytest

from bench import streams


def test_both_ways_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SECONDS", 0.2)
    (table,) = streams.measure(repeats=1)
    assert [row[0] for row in table.rows] == list(streams.WAYS)
    assert all(isinstance(row[1], float) and row[1] > 0 for row in table.rows)
