"""Prices and the cost of a call."""

from __future__ import annotations

from pathlib import Path

import pytest

from sizing.cost import PRICES, QUANTITIES, Price, PriceError, cost, load_prices, quantities
from sizing.plan import Model
from sizing.rows import Result, Row
from sizing.simulation.arrivals import Curve
from sizing.simulation.counts import Counts


def test_every_price_that_is_set_has_its_source() -> None:
    prices = load_prices().prices
    assert set(prices) == set(QUANTITIES)
    assert all(one.source and one.date for one in prices.values() if one.price is not None)


def test_mistakes_are_listed_together(tmp_path: Path) -> None:
    text = PRICES.read_text(encoding="utf-8").replace("  redis_hour:", "  redis_day:").replace("0.0085", "-1")
    (tmp_path / "prices.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PriceError) as caught:
        load_prices(tmp_path / "prices.yaml")
    assert "redis_hour: is not set; add it" in str(caught.value)
    assert "redis_day: is unknown; remove it" in str(caught.value)
    assert "acs_minute: price must be 0 or more, got -1" in str(caught.value)


def test_a_price_needs_its_source(tmp_path: Path) -> None:
    text = PRICES.read_text(encoding="utf-8").replace("price: null", "price: 1.0", 1)
    (tmp_path / "prices.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PriceError, match="node_hour: a price needs its source and date"):
        load_prices(tmp_path / "prices.yaml")


def test_quantities_of_a_call(model: Model) -> None:
    row = Row("100 calls", Curve.level(100), 10)
    result = Result(row, 1, 4, Counts(offered=20_000), relay_hours=40.0, gateway_hours=20.0)
    found = quantities(result, model)
    assert found["redis_hour"] == pytest.approx(10 / 20_000)
    assert found["node_hour"] == pytest.approx(3 * 10 / 20_000), "three nodes at least"
    assert found["acs_minute"] == 3
    assert found["voice_input_mtokens"] == pytest.approx(180 * 10 / 1e6)


def test_a_price_that_is_not_set_has_no_cost() -> None:
    assert cost(2.0, Price("a node", None, "", "")) is None
    assert cost(2.0, Price("a node", 0.25, "a page", "2026-11-30")) == 0.5
