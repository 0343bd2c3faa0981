from __future__ import annotations

import pytest

from agent_relay.call_context import was_held
from bridge_common.wire.call_record import CallRecord, Status


@pytest.mark.parametrize(
    ("record", "held"),
    [
        (CallRecord(call_id="call_1", status=Status.RINGING), False),
        (CallRecord(call_id="call_1", status=Status.CONNECTED, media_seen=True), False),
        (CallRecord(call_id="call_1", status=Status.CONNECTED, greeted=True), True),
        (CallRecord(call_id="call_1", status=Status.RINGING, conversation_id="conv_1"), True),
        (CallRecord(call_id="call_1", status=Status.RINGING, voice_session_id="sess_1"), True),
    ],
)
def test_a_call_was_driven_if_its_record_has_a_trace(record: CallRecord, held: bool) -> None:
    assert was_held(record) is held
