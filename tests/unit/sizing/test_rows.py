"""Rows of the simulation. tests/repo checks that each meets its goals."""

from __future__ import annotations

from collections import Counter

import pytest

from sizing.plan import Model, cells
from sizing.rows import Result, Row, day, fleet_spec, rows, simulate
from sizing.simulation.arrivals import Curve
from sizing.simulation.counts import Counts


def test_names_are_unique() -> None:
    assert len({row.name for row in rows()}) == len(rows())


def test_a_day_grows_from_the_night_and_returns() -> None:
    assert [day(1000).at(hours * 3600) for hours in (0, 1, 2, 3, 6)] == [10, 505, 1000, 1000, 10]


@pytest.mark.parametrize(
    ("counts", "mistakes"),
    [
        (Counts(offered=10_000), []),
        (Counts(offered=10_000, diverted=Counter(no_voice=9)), []),
        (Counts(offered=10_000, diverted=Counter(no_voice=10)), ["diverted 0.100%"]),
        (Counts(offered=10_000, lost=Counter(voice_lost=1)), ["lost 1"]),
    ],
)
def test_goals(counts: Counts, mistakes: list[str]) -> None:
    assert Result(Row("a row", Curve.level(10), 1), 1, 1, counts).mistakes == mistakes


def test_cells_share_the_calls_and_are_added(model: Model) -> None:
    row = Row("300 calls", Curve.level(300), 0.1, repeats=2)
    result = simulate(model, row)
    number, each = cells(model, 300)
    assert result.cells == number > 1
    assert result.resources == number * model.resources(each)
    assert result.counts.offered == pytest.approx(2 * 300 / 180 * 360, rel=0.15)
    assert result.relay_hours == pytest.approx(2 * 0.1 * number * model.pods("agent-relay", each), rel=0.3)


def test_the_hpa_component_reads_an_older_metric(model: Model) -> None:
    keda, hpa = (fleet_spec(model, name, Curve.level(10)) for name in ("keda", "hpa"))
    assert keda.demand.lag_s == 0.0 < hpa.demand.lag_s
