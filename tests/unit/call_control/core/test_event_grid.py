"""Event Grid bodies: what is read out of them, and what is said about bad ones."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_common.errors import InputError
from call_control.core.event_grid import Ignored, IncomingCallEvent, ValidationRequest, decode_events

DATA = {
    "to": {"kind": "phoneNumber", "rawId": "4:+18005551212", "phoneNumber": {"value": "+18005551212"}},
    "from": {"kind": "phoneNumber", "rawId": "4:+14255550100", "phoneNumber": {"value": "+14255550100"}},
    "serverCallId": "aHR0cHM6Ly9hcGk=",
    "incomingCallContext": "eyJhbGciOiJub25lIn0.eyJjYyI6",
    "correlationId": "d732db64-4803-462d-be9c-518943ea2b7a",
}
EVENT = {"id": "event-1", "eventType": "Microsoft.Communication.IncomingCall", "data": DATA}


def event_with(**data: object) -> bytes:
    return json.dumps([EVENT | {"data": DATA | data}]).encode()


def test_incoming_call() -> None:
    assert decode_events(json.dumps([EVENT]).encode()) == [
        IncomingCallEvent(
            event_id="event-1",
            caller="4:+14255550100",
            callee="4:+18005551212",
            incoming_call_context="eyJhbGciOiJub25lIn0.eyJjYyI6",
            correlation_id="d732db64-4803-462d-be9c-518943ea2b7a",
            server_call_id="aHR0cHM6Ly9hcGk=",
        )
    ]


def test_a_phone_number_without_raw_id_gets_one() -> None:
    [event] = decode_events(event_with(**{"from": {"kind": "PhoneNumber", "phoneNumber": {"value": "+1425"}}}))
    assert isinstance(event, IncomingCallEvent)
    assert event.caller == "4:+1425"


def test_one_object_and_cloud_events_are_good() -> None:
    cloud = {"specversion": "1.0", "id": "c", "type": "Microsoft.Communication.IncomingCall", "data": DATA}
    [from_object] = decode_events(json.dumps(cloud).encode())
    [from_array] = decode_events(json.dumps([cloud]).encode())
    assert from_object == from_array
    assert isinstance(from_object, IncomingCallEvent)


def test_validation_and_other_types() -> None:
    validation = {
        "id": "v",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6"},
    }
    started = {"id": "s", "eventType": "Microsoft.Communication.CallStarted", "data": {}}
    assert decode_events(json.dumps([validation, started]).encode()) == [
        ValidationRequest("512d38b6"),
        Ignored("Microsoft.Communication.CallStarted"),
    ]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "neither an event nor an array"),
        (b'"text"', "neither an event nor an array"),
        (b"[1]", "[0]: an event is an object, this is a number"),
        (b"{}", "eventType: a text is needed, this is missing"),
        (b'[{"eventType": 7}]', "[0].eventType: a text is needed, this is a number"),
        (b'[{"eventType": "Contoso.Happened"}]', "[0].eventType: no event type of this topic"),
        (b'{"eventType": "Contoso.Happened"}', "eventType: no event type of this topic"),
        (json.dumps([EVENT | {"id": ""}]).encode(), "[0].id: a text is needed, this is empty"),
        (json.dumps([EVENT | {"id": "x" * 300}]).encode(), "[0].id: longer than 256"),
        (json.dumps([EVENT | {"data": []}]).encode(), "[0].data: an object is needed, this is an array"),
        (event_with(to=None), "[0].data.to: an object is needed, this is missing"),
        (event_with(to={"rawId": True}), "[0].data.to.rawId: a text is needed, this is true or false"),
        (event_with(to={}), "[0].data.to.phoneNumber: an object is needed"),
        (event_with(incomingCallContext=1.5), "[0].data.incomingCallContext: a text is needed, this is a number"),
        (event_with(correlationId=None), "[0].data.correlationId: a text is needed, this is missing"),
        (event_with(correlationId="\ud800"), "[0].data.correlationId: half a surrogate pair"),
        (json.dumps([EVENT] * 101).encode(), "more than 100 events"),
    ],
)
def test_bad_bodies_are_named(body: bytes, complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        decode_events(body)
    assert complaint in caught.value.message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*DATA, *EVENT]), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_decoded_or_refused(value: object) -> None:
    with contextlib.suppress(InputError):
        assert decode_events(json.dumps(value).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        decode_events(body)
