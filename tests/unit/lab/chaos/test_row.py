"""Comparison of targets with figures."""

from __future__ import annotations

import pytest

from lab.chaos.row import FaultTarget


@pytest.mark.parametrize(
    ("compare", "value", "holds"),
    [("<=", 2.0, True), ("<=", 2.1, False), (">=", 2.0, True), (">=", 1.9, False), ("==", 2.0, True), ("==", 0, False)],
)
def test_a_target_is_met_or_missed(compare: str, value: float, holds: bool) -> None:
    assert FaultTarget("gap", compare, 2.0).holds({"gap": value}) is holds


def test_a_target_without_a_measurement_is_missed() -> None:
    target = FaultTarget("gap", "<=", 2.0)
    assert not target.holds({})
    assert str(target) == "gap <= 2"
