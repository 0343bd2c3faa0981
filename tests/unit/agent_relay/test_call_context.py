from __future__ import annotations

from dataclasses import replace

import pytest

from agent_relay.call_context import pending_goodbye, was_held
from agent_relay.core.dialog.manners import PendingGoodbye
from bridge_common.wire.call_record import CallAction, CallRecord, Status, TransferStage
from bridge_common.wire.entries import Saying, TranscriptEntry, Turn


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


AT_MS = 10_000


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([], False),
        ([Saying("a1", "Goodbye.", 9_500, 2_000)], True),
        ([Saying("a1", "Hello.", 1_000, 2_000)], False),
        ([Saying("a1", "Goodbye.", 9_500, 2_000), Turn("agent", "a1", "Good", 9_500, True, 200)], False),
        ([Turn("agent", "a1", "Goodbye.", 9_500, False, 2_000)], True),
        ([Turn("agent", "a1", "Hello.", 1_000, False, 2_000)], False),
        ([Turn("agent", "a2", "Goodbye.", 11_000, False, -1)], True),
        ([Turn("caller", "u1", "Goodbye.", 11_000, False, -1)], False),
    ],
)
def test_speech_at_the_time_of_the_request_is_the_goodbye(entries: list[TranscriptEntry], said: bool) -> None:
    action = CallAction("act_1", "hang_up", "{}", "agent", AT_MS, "running")
    record = CallRecord(call_id="call_1", status=Status.CONNECTED, closing="act_1", actions=(action,))
    assert pending_goodbye(record, entries) == PendingGoodbye("act_1", interruptible=True, said=said)


def test_without_a_requested_hang_up_nothing_is_pending() -> None:
    assert pending_goodbye(CallRecord(call_id="call_1", status=Status.CONNECTED), []) is None


@pytest.mark.parametrize(("by", "interruptible"), [("agent", True), ("operator", False)])
def test_the_words_before_a_transfer_may_be_pending(by: str, interruptible: bool) -> None:
    action = CallAction("act_1", "transfer", '{"target":"sales"}', by, AT_MS, "running")
    record = CallRecord(call_id="call_1", status=Status.CONNECTED, transfer="act_1", actions=(action,))
    connecting = replace(record, transfer_stage=TransferStage.CONNECTING)
    expected = PendingGoodbye("act_1", interruptible, False, "transfer", '{"target":"sales"}')
    assert pending_goodbye(connecting, []) == expected
    assert pending_goodbye(replace(record, transfer_stage=TransferStage.DIALING), []) is None
