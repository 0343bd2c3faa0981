"""What counts as growth."""

from __future__ import annotations

import pytest

from lab.chaos.soak import Growth


def grown(*values: float) -> Growth:
    growth = Growth()
    for value in values:
        growth.add(value)
    return growth


def test_a_warm_up_is_no_growth_and_a_slope_is() -> None:
    assert grown(*[10.0] * 10, *[100.0] * 30).growth() == 0
    assert grown(*[float(value) for value in range(40)]).growth() == pytest.approx(20)
    assert grown(1.0, 3.0).mean() == 2.0


def test_nothing_measured_is_no_growth() -> None:
    assert (Growth().growth(), Growth().mean()) == (0.0, 0.0)
