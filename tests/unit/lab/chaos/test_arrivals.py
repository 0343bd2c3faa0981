"""Measurement of answered calls, from their timelines."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from lab.chaos import arrivals
from lab.chaos.row import Scene

FOREVER = float("inf")


def scene(**moments: float) -> Scene:
    return Scene(Mock(), Mock(), moments=moments)


def test_answers_are_counted_and_timed_from_the_delivery_that_was_accepted() -> None:
    def phone(*rows: tuple[str, float]) -> dict[str, object]:
        return {"timeline": [{"event": event, "t": t} for event, t in rows]}

    there = scene()
    there.crowd = Mock()
    there.crowd.phones.return_value = [
        phone(
            ("incoming_call_sent", 1.0),
            ("incoming_call_refused", 1.1),
            ("incoming_call_sent", 11.0),
            ("answered", 12.0),
        ),
        phone(("incoming_call_sent", 1.0), ("answered", 1.5), ("incoming_call_sent", 2.0)),
    ]
    assert arrivals.answers(there, []) == {"answered_once_pct": 100, "answered_s": pytest.approx(1.0)}
    there.crowd.phones.return_value.append(phone(("incoming_call_sent", 1.0)))
    assert arrivals.answers(there, []) == {"answered_once_pct": pytest.approx(200 / 3), "answered_s": FOREVER}
