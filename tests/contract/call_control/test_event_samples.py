"""Decodes request bodies of Event Grid and ACS from Microsoft's docs and public logs, one per file."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.core.messaging import CloudEvent
from msgspec.structs import replace

from bridge_common.base.errors import InputError
from bridge_common.base.ids import call_id_of
from bridge_common.wire.entries import Callback, IncomingCall
from bridge_common.wire.entry_codec import encode
from call_control.core.events.callbacks import AcsEvent, decode_callbacks, decode_data
from call_control.core.events.event_grid import GridEvent, ValidationRequest, decode_events
from call_control.core.events.json_fields import BadEvent, Ignored
from call_control.core.machine.call_events import KNOWN_CALLBACKS
from tests.support.fuzzing import survives

SAMPLES = Path(__file__).parent / "samples"
RANG_MS = round(datetime(2026, 11, 22, 5, 0, 0, 241_539, UTC).timestamp() * 1000)
CALLBACKS = sorted(path.stem for path in SAMPLES.glob("callback_*.json"))


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def callbacks(body: bytes) -> list[AcsEvent]:
    events = decode_callbacks(body)
    assert all(isinstance(event, AcsEvent) for event in events)
    return [event for event in events if isinstance(event, AcsEvent)]


def incoming(caller: str, callee: str = "4:+18005551212") -> IncomingCall:
    return IncomingCall(
        call_id=call_id_of("d732db64-4803-462d-be9c-518943ea2b7a"),
        received_ms=5,
        event_id="d5546be8-227a-4db8-b2c3-4f06fd675fd6",
        caller=caller,
        callee=callee,
        incoming_call_context="eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJjYyI6Ikg0c0lB",
        correlation_id="d732db64-4803-462d-be9c-518943ea2b7a",
        server_call_id="aHR0cHM6Ly9hcGkuZmxpZ2h0cHJveHkuc2t5cGUuY29tLy4uLg==",
        rang_ms=RANG_MS,
    )


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("grid_validation", ValidationRequest("512d38b6-c7b8-40c8-89fe-f46f9e9622b6")),
        ("grid_incoming_pstn", incoming("4:+14255550100")),
        ("cloud_incoming", incoming("4:+14255550100")),
        ("grid_incoming_older_kind", incoming("4:+14255550100")),
        ("grid_incoming_anonymous", incoming("4:anonymous")),
        (
            "grid_incoming_voip",
            replace(
                incoming("8:acs:1111_3333", "8:acs:1111_2222"),
                display_name="Ada",
                custom_context=(
                    '{"sip_headers":{"User-To-User":"56a6ec6e;encoding=hex","X-MS-Custom-foo":"1"},'
                    '"voip_headers":{"k":"v"}}'
                ),
            ),
        ),
        ("grid_call_started", Ignored("Microsoft.Communication.CallStarted")),
        ("grid_subscription_deleted", Ignored("Microsoft.EventGrid.SubscriptionDeletedEvent")),
    ],
)
def test_event_grid(name: str, event: GridEvent) -> None:
    assert decode_events(sample(name), 5) == [event]


def test_every_delivery_of_one_call_names_the_same_call() -> None:
    schemas = [decode_events(sample(name), 5)[0] for name in ("grid_incoming_pstn", "cloud_incoming")]
    assert len({event.call_id for event in schemas if isinstance(event, IncomingCall)}) == 1


@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks(name: str) -> None:
    raw = json.loads(sample(name))
    events = callbacks(sample(name))
    assert [event.connection_id for event in events] == ["441f1200-fd54-422e-9566-a867d187dca7"] * len(raw)
    for event, one in zip(events, raw, strict=True):
        envelope: CloudEvent[dict[str, object]] = CloudEvent.from_dict(one)
        assert (event.id, f"Microsoft.Communication.{event.type}") == (envelope.id, envelope.type)
        assert json.loads(event.data) == envelope.data
        assert decode_data(event.id, event.type, event.data) == event
        assert event.operation_context == "Answer-2"


def test_results_and_media_updates() -> None:
    def first(name: str) -> AcsEvent:
        return callbacks(sample(name))[0]

    assert first("callback_disconnected").sub_code == 560000
    assert (first("callback_answer_failed").code, first("callback_answer_failed").sub_code) == (487, 540487)
    failed = first("callback_streaming_failed")
    assert (failed.code, failed.sub_code, failed.media_details) == (400, 8581, "initialWebSocketConnectionFailed")
    assert first("callback_streaming_started").media_status == "mediaStreamingStarted"


def test_participants_invitations_and_tones() -> None:
    def first(name: str) -> AcsEvent:
        return callbacks(sample(name))[0]

    added, failed = first("callback_participant_added"), first("callback_participant_not_added")
    assert added.participant == failed.participant == "4:+14255550177"
    assert added.invitation_id == first("callback_invitation_canceled").invitation_id != ""
    assert (failed.code, failed.sub_code) == (487, 5234)
    assert first("callback_tone").tone == "5"


def test_all_that_the_machine_knows_is_among_the_samples() -> None:
    seen = {event.type for name in CALLBACKS for event in callbacks(sample(name))}
    assert seen > KNOWN_CALLBACKS


@pytest.mark.timeout(300)
def test_event_grid_bodies_are_decoded_or_refused_whatever_they_are() -> None:
    """Any body is either decoded or rejected, and decoded events can be written to the inbox."""
    found: Counter[type] = Counter()

    def admit(text: str) -> None:
        for event in decode_events(text.encode(), 5):
            found[type(event)] += 1
            if isinstance(event, IncomingCall):
                encode(event)

    decoded, refused = survives(admit, _texts("grid_*", "cloud_*"), InputError)
    assert min(decoded, refused) > 0
    assert min(found[IncomingCall], found[Ignored], found[BadEvent]) > 0


@pytest.mark.timeout(300)
def test_callbacks_are_decoded_or_refused_whatever_they_are() -> None:
    found: Counter[type] = Counter()

    def pass_on(text: str) -> None:
        for event in decode_callbacks(text.encode()):
            found[type(event)] += 1
            if isinstance(event, AcsEvent):
                encode(Callback(call_id="call_0", event_id=event.id, type=event.type, data=event.data))
                assert decode_data(event.id, event.type, event.data) == event

    decoded, refused = survives(pass_on, _texts("callback_*"), InputError)
    assert min(decoded, refused) > 0
    assert min(found[AcsEvent], found[Ignored], found[BadEvent]) > 0


def _texts(*patterns: str) -> list[str]:
    """Return the samples as they were sent, without the line breaks of the files."""
    paths = [path for pattern in patterns for path in sorted(SAMPLES.glob(f"{pattern}.json"))]
    return [json.dumps(json.loads(path.read_bytes()), ensure_ascii=False) for path in paths]
