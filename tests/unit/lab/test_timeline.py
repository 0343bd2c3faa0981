from __future__ import annotations

import pytest

from lab.timeline import tell


def test_an_event_is_told_with_its_values() -> None:
    assert tell("phone", {"t": 1.0, "event": "caller_says", "text": "Hello"}) == "caller    says “Hello”"


def test_a_missing_value_costs_only_itself() -> None:
    assert tell("phone", {"t": 1.0, "event": "media_closed"}).startswith("phone     media socket closed")


@pytest.mark.parametrize(("side", "event"), [("phone", "frame"), ("voice", "answered")])
def test_what_is_not_worth_a_line_has_none(side: str, event: str) -> None:
    assert tell(side, {"t": 1.0, "event": event}) == ""
