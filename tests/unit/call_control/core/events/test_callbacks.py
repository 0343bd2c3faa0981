"""Mid-call events: decoded fields, and errors for invalid events."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_common.base.errors import InputError
from call_control.core.events.callbacks import AcsEvent, decode_callbacks, decode_data
from call_control.core.events.json_fields import BadEvent, Ignored

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


def only(*events: object) -> AcsEvent:
    """Decode a body with exactly one event."""
    [event] = decode_callbacks(json.dumps(events).encode())
    assert isinstance(event, AcsEvent)
    return event


def test_all_that_the_machine_needs_is_read() -> None:
    event = only(STREAMING_FAILED)
    assert (event.id, event.type, event.connection_id) == ("7dec6eed", "MediaStreamingFailed", "441f1200")
    assert (event.code, event.sub_code, event.message) == (400, 8581, "Action failed")
    assert event.operation_context == "Answer-2"
    assert (event.media_status, event.media_details) == ("mediaStreamingFailed", "initialWebSocketConnectionFailed")


def test_the_inbox_form_gives_the_same_event() -> None:
    [event] = decode_callbacks(json.dumps(STREAMING_FAILED).encode())
    assert isinstance(event, AcsEvent)
    assert decode_data(event.id, event.type, event.data) == event


def test_a_batch_keeps_its_order_and_optional_fields_may_miss() -> None:
    plain = {"id": "1", "type": "Microsoft.Communication.CallConnected", "data": {"callConnectionId": "c"}}
    first, second = decode_callbacks(json.dumps([plain, STREAMING_FAILED]).encode())
    assert isinstance(first, AcsEvent)
    assert isinstance(second, AcsEvent)
    assert (first.type, first.code, first.operation_context) == ("CallConnected", 0, "")
    assert second.type == "MediaStreamingFailed"


@pytest.mark.parametrize(
    ("bad", "refused"),
    [
        ({}, BadEvent("[1].type is missing")),
        ({"type": 5}, BadEvent("[1].type must be a string, got a number")),
        ("text", BadEvent("[1] must be an object, got a string")),
        ({"type": "CallConnected", "id": "1", "data": {}}, Ignored("CallConnected")),
        ({"type": "Contoso.Happened"}, Ignored("Contoso.Happened")),
    ],
)
def test_what_is_no_callback_costs_no_other(bad: object, refused: object) -> None:
    first, second, third = decode_callbacks(json.dumps([STREAMING_FAILED, bad, STREAMING_FAILED]).encode())
    assert isinstance(first, AcsEvent)
    assert second == refused
    assert third == first


@pytest.mark.parametrize(
    ("result", "code", "sub_code"),
    [
        ({"code": "200", "subCode": "560000"}, 200, 560000),
        ({"code": 200.0, "subCode": 560000.0}, 200, 560000),
        ({"code": "200.0", "subCode": " 7000 "}, 200, 7000),
        ({"code": True, "subCode": None}, 0, 0),
        ({"code": "none", "subCode": []}, 0, 0),
        ({"code": 1e300, "subCode": int("9" * 40)}, 0, 0),
        (None, 0, 0),
        ("ok", 0, 0),
        ([200], 0, 0),
    ],
)
def test_results_are_read_however_they_are_spelled(result: object, code: int, sub_code: int) -> None:
    event = only(STREAMING_FAILED | {"data": {"callConnectionId": "c", "resultInformation": result}})
    assert (event.code, event.sub_code, event.connection_id) == (code, sub_code, "c")
    assert decode_data(event.id, event.type, event.data) == event


def test_long_messages_are_cut_and_odd_fields_are_empty() -> None:
    result = {"code": 500, "message": "x" * 100_000}
    data = {"resultInformation": result, "mediaStreamingUpdate": [], "operationContext": 7}
    event = only(STREAMING_FAILED | {"data": data})
    assert (event.code, len(event.message), event.media_status) == (500, 1000, "")
    assert (event.connection_id, event.operation_context) == ("", "7")


def test_an_event_without_an_id_is_known_by_its_content() -> None:
    nameless = {"type": "Microsoft.Communication.CallDisconnected", "data": None}
    first, again, other = (only(one) for one in (nameless, nameless, nameless | {"data": {"operationContext": "a"}}))
    assert first.id == again.id != other.id
    assert first.type == "CallDisconnected"
    assert only(STREAMING_FAILED | {"id": 7}).id == "7"


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    with contextlib.suppress(InputError):
        assert all(isinstance(event, BadEvent) for event in decode_callbacks(body))


def test_the_listed_participants_are_read_in_every_form() -> None:
    phone = {"kind": "phoneNumber", "rawId": "4:+14255550100", "phoneNumber": {"value": "+14255550100"}}
    items = [{"identifier": phone}, {"identifier": {"phoneNumber": {"value": "+14255550177"}}}, {"identifier": {}}, 7]
    data = {"callConnectionId": "c", "participants": [*items, {"isMuted": True}]}
    event = only({"id": "1", "type": "Microsoft.Communication.ParticipantsUpdated", "data": data})
    assert event.listed == ("4:+14255550100", "4:+14255550177")
    assert decode_data("1", event.type, event.data) == event


@pytest.mark.parametrize("participants", [None, {}, "4:+14255550100", 5])
def test_participants_of_another_type_are_none(participants: object) -> None:
    data = {"callConnectionId": "c", "participants": participants}
    assert only({"id": "1", "type": "Microsoft.Communication.ParticipantsUpdated", "data": data}).listed == ()
