"""Mid-call events: what is read out of them, and what is said about bad ones."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_common.errors import InputError
from call_control.core.callbacks import decode_callbacks, decode_data

STREAMING_FAILED = {
    "id": "7dec6eed",
    "source": "calling/callConnections/441f1200",
    "type": "Microsoft.Communication.MediaStreamingFailed",
    "specversion": "1.0",
    "data": {
        "mediaStreamingUpdate": {
            "contentType": "Audio",
            "mediaStreamingStatus": "mediaStreamingFailed",
            "mediaStreamingStatusDetails": "initialWebSocketConnectionFailed",
        },
        "resultInformation": {"code": 400, "subCode": 8581, "message": "Action failed"},
        "operationContext": "Answer-2",
        "callConnectionId": "441f1200",
    },
}


def test_all_that_the_machine_needs_is_read() -> None:
    [event] = decode_callbacks(json.dumps([STREAMING_FAILED]).encode())
    assert (event.id, event.type, event.connection_id) == ("7dec6eed", "MediaStreamingFailed", "441f1200")
    assert (event.code, event.sub_code, event.message) == (400, 8581, "Action failed")
    assert event.operation_context == "Answer-2"
    assert (event.media_status, event.media_details) == ("mediaStreamingFailed", "initialWebSocketConnectionFailed")


def test_the_inbox_form_gives_the_same_event() -> None:
    [event] = decode_callbacks(json.dumps(STREAMING_FAILED).encode())
    assert decode_data(event.id, event.type, event.data) == event


def test_a_batch_keeps_its_order_and_optional_fields_may_miss() -> None:
    plain = {"id": "1", "type": "Microsoft.Communication.CallConnected", "data": {"callConnectionId": "c"}}
    first, second = decode_callbacks(json.dumps([plain, STREAMING_FAILED]).encode())
    assert (first.type, first.code, first.operation_context) == ("CallConnected", 0, "")
    assert second.type == "MediaStreamingFailed"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"type": "CallConnected"}, "[0].type: no event type of Call Automation"),
        ({"id": 1}, "[0].id: a text is needed, this is a number"),
        ({"data": None}, "[0].data: an object is needed, this is missing"),
        ({"data": {}}, "[0].data.callConnectionId: a text is needed, this is missing"),
        (
            {"data": {"callConnectionId": "c", "resultInformation": {"code": "200"}}},
            "[0].data.resultInformation.code: a whole number is needed, this is a text",
        ),
        (
            {"data": {"callConnectionId": "c", "mediaStreamingUpdate": []}},
            "[0].data.mediaStreamingUpdate: an object is needed, this is an array",
        ),
    ],
)
def test_bad_events_are_named(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        decode_callbacks(json.dumps([STREAMING_FAILED | change]).encode())
    assert complaint in caught.value.message


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        decode_callbacks(body)
