"""Rows of transfers and participants come first in the table, and must not change calls without them."""

from __future__ import annotations

import json

import pytest

from bridge_common.wire.call_record import Status
from bridge_common.wire.entries import Act, Due, GoodbyeOver, MediaLost, ScreeningOver, UplinkMissed, VoiceLost
from call_control.core.machine.call_events import CallEvent, EventKind
from call_control.core.machine.call_table import TABLE
from call_control.core.machine.people_rows import PEOPLE_ROWS
from tests.unit.support.call_life import CALL, callback
from tests.unit.support.people_life import event, phoned

ORDINARY: list[tuple[EventKind, CallEvent]] = [
    (EventKind.VOICE_LOST, VoiceLost(CALL, 9, "budget")),
    (EventKind.MEDIA_LOST, MediaLost(CALL, 10, 1006)),
    (EventKind.UPLINK_MISSED, UplinkMissed(CALL, 10)),
    (EventKind.STREAMING_FAILED, callback("MediaStreamingFailed")),
    (EventKind.STREAMING_STOPPED, callback("MediaStreamingStopped")),
    (EventKind.MEDIA_DUE, Due(CALL, "media", 1)),
    (EventKind.LENGTH_DUE, Due(CALL, "length", 1)),
    (EventKind.ACT_HANG_UP, Act(CALL, "act-1", "hang_up", json.dumps({}), "operator")),
    (EventKind.CALL_DISCONNECTED, callback("CallDisconnected", sub_code=7000)),
    (EventKind.GOODBYE_OVER, GoodbyeOver(CALL, "act-1", "heard")),
    (EventKind.SCREENING_OVER, ScreeningOver(CALL, "", "confirmed")),
    (EventKind.ADDED, event("AddParticipantSucceeded")),
    (EventKind.ROSTER, event("ParticipantsUpdated")),
    (EventKind.TRANSFER_ACCEPTED, event("CallTransferAccepted")),
    (EventKind.TRANSFER_FAILED, event("CallTransferFailed")),
]


@pytest.mark.parametrize(("kind", "happened"), ORDINARY)
def test_a_call_of_two_has_no_row_here(kind: EventKind, happened: CallEvent) -> None:
    life = phoned()
    rows = [row for row in PEOPLE_ROWS if (row.at, row.on) == (Status.CONNECTED, kind)]
    assert rows
    assert not [row for row in rows if row.when is None or row.when(life.record, happened, life.rules)]


def test_these_rows_precede_the_others() -> None:
    assert TABLE[: len(PEOPLE_ROWS)] == PEOPLE_ROWS
