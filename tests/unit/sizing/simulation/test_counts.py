"""Counts of several cells."""

from __future__ import annotations

from sizing.simulation.counts import Counts


def test_cells_are_added() -> None:
    one, other = Counts(offered=1000, most_calls=10), Counts(offered=1000, most_calls=20, silences_s=[2.0])
    one.diverted["no_voice"], other.diverted["no_capacity"] = 1, 2
    one.add(other)
    assert (one.offered, one.most_calls, one.diverted.total(), one.silences_s) == (2000, 30, 3, [2.0])
    assert one.diverted_share == 0.0015
    one.clear()
    assert one == Counts()
    assert one.diverted_share == 0.0
