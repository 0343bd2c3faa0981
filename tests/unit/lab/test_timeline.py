from __future__ import annotations

import pytest

from lab.timeline import format_event


def test_an_event_is_printed_with_its_values() -> None:
    assert format_event("phone", {"t": 1.0, "event": "caller_says", "text": "Hello"}) == "caller    says “Hello”"


def test_a_missing_value_shortens_the_line() -> None:
    assert format_event("phone", {"t": 1.0, "event": "media_closed"}).startswith("phone     media socket closed")


@pytest.mark.parametrize(("side", "event"), [("phone", "frame"), ("voice", "answered")])
def test_other_events_have_no_line(side: str, event: str) -> None:
    assert format_event(side, {"t": 1.0, "event": event}) == ""
