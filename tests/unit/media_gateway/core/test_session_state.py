"""Every state of a media session with every event."""

from __future__ import annotations

import pytest

from media_gateway.core.session_state import TRANSITIONS, MissingStream, SessionEvent, SessionState

OPENING, STREAMING, CLOSING, CLOSED = SessionState
RATE_KNOWN, END, DETACHED = SessionEvent


@pytest.mark.parametrize(
    ("state", "event", "to"),
    [
        (OPENING, RATE_KNOWN, STREAMING),
        (OPENING, END, CLOSING),
        (OPENING, DETACHED, CLOSED),
        (STREAMING, RATE_KNOWN, None),
        (STREAMING, END, CLOSING),
        (STREAMING, DETACHED, CLOSED),
        (CLOSING, RATE_KNOWN, None),
        (CLOSING, END, None),
        (CLOSING, DETACHED, CLOSED),
        (CLOSED, RATE_KNOWN, None),
        (CLOSED, END, None),
        (CLOSED, DETACHED, None),
    ],
)
def test_each_event_in_each_state(state: SessionState, event: SessionEvent, to: SessionState | None) -> None:
    assert TRANSITIONS.get((state, event)) is to


def test_reports_of_one_loss_belong_together() -> None:
    stream = MissingStream()
    assert [stream.seen(now) for now in (10.0, 10.5, 11.25)] == [0.0, 0.5, 1.25]
    assert stream.seen(12.5) == 0.0, "a report after a pause counts as a new loss"
    assert stream.seen(13.0) == 0.5
