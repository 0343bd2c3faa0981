"""Tables between the marks of the page."""

from __future__ import annotations

import pytest

from sizing.cost import load_prices
from sizing.measured import load
from sizing.page import fixed_tables, simulated_tables, table_of, with_tables
from sizing.plan import Model
from sizing.rows import Result, Row
from sizing.simulation.arrivals import Curve
from sizing.simulation.counts import Counts

PAGE = "# Text\n\n<!-- plan -->\nold\n<!-- end of plan -->\n\nMore text.\n"


def test_tables_are_replaced_and_text_stays() -> None:
    once = with_tables(PAGE, {"plan": "new\n"})
    assert once == PAGE.replace("old", "new")
    assert table_of(once, "plan") == "new\n"
    with pytest.raises(ValueError, match="the page has no marks for cost"):
        with_tables(PAGE, {"cost": ""})


def test_the_plan_has_a_column_for_each_size(model: Model) -> None:
    tables = fixed_tables(model, load())
    assert "| concurrent calls | 10 | 100 | 1,000 | 10,000 |" in tables["plan"]
    assert "| agent-relay: pods | 2 | 3 |" in tables["plan"]
    assert "| gateway_cpu | 75.7 | 2.254 | ms/s |" in tables["measured"]
    assert "| 40 |" in tables["targets"]


def test_a_missed_goal_stays_in_the_table(model: Model) -> None:
    good = Result(Row("good", Curve.level(10), 1), 1, 1, Counts(offered=2000))
    bad = Result(Row("bad", Curve.level(10), 1), 1, 1, Counts(offered=1000))
    bad.counts.diverted["no_capacity"], bad.counts.lost["voice_lost"] = 2, 1
    tables = simulated_tables([good, bad], model, load_prices())
    assert "| good | 1 | 2,000 | 0.000 % | 0 |" in tables["simulation"]
    assert "missed: diverted 0.200%, lost 1" in tables["simulation"]
    assert "| sum, USD |  | price not set | price not set |" in tables["cost"]
