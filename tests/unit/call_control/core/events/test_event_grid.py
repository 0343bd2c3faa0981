"""Event Grid bodies: decoded fields, and errors for invalid events."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_common.base.errors import InputError
from bridge_common.base.ids import call_id_of
from bridge_common.wire.entries import IncomingCall
from call_control.core.events import event_grid
from call_control.core.events.event_grid import GridEvent, ValidationRequest
from call_control.core.events.json_fields import BadEvent, Ignored

DATA = {
    "to": {"kind": "phoneNumber", "rawId": "4:+18005551212", "phoneNumber": {"value": "+18005551212"}},
    "from": {"kind": "phoneNumber", "rawId": "4:+14255550100", "phoneNumber": {"value": "+14255550100"}},
    "serverCallId": "aHR0cHM6Ly9hcGk=",
    "incomingCallContext": "eyJhbGciOiJub25lIn0.eyJjYyI6",
    "correlationId": "d732db64-4803-462d-be9c-518943ea2b7a",
}
EVENT: dict[str, object] = {"id": "event-1", "eventType": "Microsoft.Communication.IncomingCall", "data": DATA}


VALIDATION = {
    "id": "v",
    "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
    "data": {"validationCode": "512d38b6"},
}


def decode_events(body: bytes) -> list[GridEvent | BadEvent]:
    return event_grid.decode_events(body, 5)


def changed(**data: object) -> dict[str, object]:
    return EVENT | {"data": DATA | data}


def event_with(**data: object) -> bytes:
    return json.dumps([changed(**data)]).encode()


def test_incoming_call() -> None:
    assert decode_events(json.dumps([EVENT]).encode()) == [
        IncomingCall(
            call_id=call_id_of("d732db64-4803-462d-be9c-518943ea2b7a"),
            event_id="event-1",
            caller="4:+14255550100",
            callee="4:+18005551212",
            incoming_call_context="eyJhbGciOiJub25lIn0.eyJjYyI6",
            correlation_id="d732db64-4803-462d-be9c-518943ea2b7a",
            server_call_id="aHR0cHM6Ly9hcGk=",
            received_ms=5,
        )
    ]


def test_a_phone_number_without_raw_id_gets_one() -> None:
    [event] = decode_events(event_with(**{"from": {"kind": "PhoneNumber", "phoneNumber": {"value": "+1425"}}}))
    assert isinstance(event, IncomingCall)
    assert event.caller == "4:+1425"


def test_one_object_and_cloud_events_are_accepted() -> None:
    cloud = {"specversion": "1.0", "id": "c", "type": "Microsoft.Communication.IncomingCall", "data": DATA}
    [from_object] = decode_events(json.dumps(cloud).encode())
    [from_array] = decode_events(json.dumps([cloud]).encode())
    assert from_object == from_array
    assert isinstance(from_object, IncomingCall)


def test_validation_and_other_types() -> None:
    started = {"id": "s", "eventType": "Microsoft.Communication.CallStarted", "data": {}}
    foreign = {"id": "f", "eventType": "Microsoft.Storage.BlobCreated", "data": "text"}
    assert decode_events(json.dumps([VALIDATION, started, foreign]).encode()) == [
        ValidationRequest("512d38b6"),
        Ignored("Microsoft.Communication.CallStarted"),
        Ignored("Microsoft.Storage.BlobCreated"),
    ]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "must be an event or an array"),
        (b'"text"', "must be an event or an array"),
        (json.dumps([EVENT] * 5001).encode(), "5001 events; at most 5000"),
    ],
)
def test_bodies_without_events_are_refused(body: bytes, fault: str) -> None:
    with pytest.raises(InputError) as caught:
        decode_events(body)
    assert fault in caught.value.message


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (1, "[1] must be an object, got a number"),
        (None, "[1] must be an object, got null"),
        ([EVENT], "[1] must be an object, got an array"),
        ({}, "[1].type is missing"),
        ({"eventType": 7}, "[1].eventType must be a string, got a number"),
        (EVENT | {"data": []}, "[1].data must be an object, got an array"),
        (changed(incomingCallContext=1.5), "[1].data.incomingCallContext must be a string, got a number"),
        (changed(incomingCallContext=""), "[1].data.incomingCallContext is empty"),
        (changed(incomingCallContext="x" * 70_000), "[1].data.incomingCallContext has more than 65536 characters"),
        (VALIDATION | {"data": {}}, "[1].data.validationCode is missing"),
    ],
)
def test_a_bad_event_is_named_and_does_not_affect_the_others(bad: object, reason: str) -> None:
    good, refused, other = decode_events(json.dumps([EVENT, bad, EVENT | {"id": "event-2"}]).encode())
    assert refused == BadEvent(reason)
    assert [one.event_id for one in (good, other) if isinstance(one, IncomingCall)] == ["event-1", "event-2"]


def test_ids_may_be_missing_numbers_or_long() -> None:
    [event] = decode_events(json.dumps(changed(correlationId=None, serverCallId=None) | {"id": None}).encode())
    assert isinstance(event, IncomingCall)
    assert (event.event_id, event.correlation_id, event.server_call_id) == ("", "", "")
    assert event.call_id == call_id_of(event.incoming_call_context)
    [event] = decode_events(json.dumps(changed(correlationId=12, serverCallId=1.5) | {"id": 7}).encode())
    assert isinstance(event, IncomingCall)
    assert (event.event_id, event.correlation_id, event.server_call_id) == ("7", "12", "1.5")
    long, longer = decode_events(json.dumps([EVENT | {"id": "x" * 300}, EVENT | {"id": "x" * 301}]).encode())
    assert isinstance(long, IncomingCall)
    assert isinstance(longer, IncomingCall)
    assert long.event_id != longer.event_id, "two long ids with the same beginning are two events"
    assert len(long.event_id) == 64


def test_display_name_and_headers() -> None:
    context = {"sipHeaders": {"User-To-User": "abc;encoding=hex", "X-MS-Custom-foo": 1}, "voipHeaders": None}
    [event] = decode_events(event_with(callerDisplayName="Ada\r\nLovelace", customContext=context))
    assert isinstance(event, IncomingCall)
    assert event.display_name == "AdaLovelace"
    assert json.loads(event.custom_context) == {
        "sip_headers": {"User-To-User": "abc;encoding=hex", "X-MS-Custom-foo": "1"}
    }
    assert event.on_behalf_of == ""


@pytest.mark.parametrize(
    ("callee", "found"),
    [
        (None, ""),
        ({}, ""),
        ("", ""),
        ({"rawId": "8:acs:r_t_u"}, "8:acs:r_t_u"),
        ({"communicationUser": {"id": "8:acs:r_2"}}, "8:acs:r_2"),
        ({"kind": "unknown"}, "unknown"),
        ([1], "unknown"),
    ],
)
def test_a_call_on_behalf_of_a_callee_in_any_form(callee: object, found: str) -> None:
    [event] = decode_events(event_with(onBehalfOfCallee=callee))
    assert isinstance(event, IncomingCall)
    assert event.on_behalf_of == found


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
    with contextlib.suppress(InputError):
        assert all(isinstance(event, BadEvent) for event in decode_events(body))


@pytest.mark.parametrize(
    ("time", "rang_ms"),
    [
        ({"eventTime": "2026-11-22T05:00:00.2415391Z"}, 1795323600242),
        ({"eventTime": "2026-11-22T06:00:00.2415391+01:00"}, 1795323600242),
        ({"time": "2026-11-22T05:00:00Z"}, 1795323600000),
        ({"time": "2026-11-22T05:00:00"}, 1795323600000),
        ({"time": "2026-11-22T05:00:00Z", "eventTime": "2020-01-01T00:00:00Z"}, 1795323600000),
        ({}, 0),
        ({"eventTime": None}, 0),
        ({"eventTime": 1795323600000}, 0),
        ({"eventTime": "soon"}, 0),
        ({"eventTime": "0001-01-01T00:00:00+23:59"}, 0),
        ({"eventTime": "1960-01-01T00:00:00Z"}, 0),
        ({"eventTime": "9" * 10_000}, 0),
    ],
)
def test_an_event_with_any_time_is_accepted(time: dict[str, object], rang_ms: int) -> None:
    [event] = decode_events(json.dumps(EVENT | time).encode())
    assert isinstance(event, IncomingCall)
    assert event.rang_ms == rang_ms
