from __future__ import annotations

import json

import pytest

from lab.acs import callback_events as events
from lab.acs.call_ends import CallEnd, failure
from lab.acs.calls import CallbackOptions, Participant, SimulatedCall
from lab.acs.party_identifiers import Identifier, Json

CALLER, APP, TARGET = Identifier("4:+1425"), Identifier("8:acs:res_app"), Identifier("4:+1999")


@pytest.fixture
def call() -> SimulatedCall:
    call = SimulatedCall(CALLER, Identifier("4:+1800"), APP)
    call.callback = CallbackOptions("http://cb", "oc", "2026-03-12")
    call.participants = {party.raw_id: Participant(party) for party in (CALLER, APP)}
    return call


def data(event: Json) -> Json:
    body = event["data"]
    assert isinstance(body, dict)
    return body


def test_the_envelope(call: SimulatedCall) -> None:
    event = events.call_connected(call)
    assert set(event) == {"id", "source", "type", "data", "time", "specversion", "datacontenttype", "subject"}
    assert event["source"] == event["subject"] == f"calling/callConnections/{call.connection_id}"
    assert set(data(event)) == {
        "version", "operationContext", "callConnectionId", "serverCallId", "correlationId", "publicEventType",
        "resultInformation",
    }  # fmt: skip
    assert events.call_connected(call)["id"] != event["id"]


def test_a_missing_operation_context_is_left_out(call: SimulatedCall) -> None:
    call.callback = CallbackOptions("http://cb", None, "2026-03-12")
    assert "operationContext" not in data(events.call_connected(call))
    assert "operationContext" not in data(events.participants_updated(call))


def test_participants_updates_are_numbered(call: SimulatedCall) -> None:
    first, second = data(events.participants_updated(call)), data(events.participants_updated(call))
    assert (first["sequenceNumber"], second["sequenceNumber"]) == (1, 2)
    participants = first["participants"]
    assert isinstance(participants, list)
    assert participants[0] == {"identifier": CALLER.json(), "isMuted": False, "isOnHold": False}


def test_how_a_call_ended(call: SimulatedCall) -> None:
    ended = data(events.call_disconnected(call, CallEnd("caller", "hung up", 200, 560000, "over")))
    assert ended["resultInformation"] == {"code": 200, "subCode": 560000, "message": "over"}


def test_media_streaming_and_its_failures(call: SimulatedCall) -> None:
    refused = data(events.stream_connect_failed(call, "mine"))
    assert refused["operationContext"] == "mine"
    info = refused["resultInformation"]
    assert isinstance(info, dict)
    assert info["message"].startswith("Action failed, Transport url is not valid")
    lost = data(events.stream_lost(call, "streamConnectionInterrupted"))
    assert lost["operationContext"] == "oc"
    assert lost["mediaStreamingUpdate"] == {
        "contentType": "Audio",
        "mediaStreamingStatus": "mediaStreamingFailed",
        "mediaStreamingStatusDetails": "streamConnectionInterrupted",
    }


def test_transfers_and_tones(call: SimulatedCall) -> None:
    accepted = data(events.transfer_accepted(call, TARGET, CALLER, "tx"))
    assert (accepted["transferTarget"], accepted["transferee"]) == (TARGET.json(), CALLER.json())
    tone = data(events.tone_received(call, 3, "five", "cd"))
    assert (tone["sequenceId"], tone["tone"], tone["operationContext"]) == (3, "five", "cd")


def test_a_callee_who_does_not_answer_has_a_documented_sub_code(call: SimulatedCall) -> None:
    ended = failure("busy")
    assert ended is not None
    failed = data(events.create_call_failed(call, ended))
    info = failed["resultInformation"]
    assert isinstance(info, dict)
    assert (info["code"], info["subCode"]) == (486, 560486)


def test_results_have_every_form(call: SimulatedCall) -> None:
    plain = events.call_disconnected(call, CallEnd("caller", "hung up", 200, 560000, "over"))
    assert data(events.with_results(plain, "text"))["resultInformation"] == {
        "code": "200", "subCode": "560000", "message": "over",
    }  # fmt: skip
    assert '"subCode": 560000.0' in json.dumps(events.with_results(plain, "float"))
    missing = data(events.with_results(plain, "missing"))
    assert "resultInformation" not in missing
    assert missing["callConnectionId"] == call.connection_id
    assert events.with_results(plain, "number") is plain
    connected = data(events.with_results(events.call_connected(call), "text"))
    assert connected["resultInformation"] == {"code": "200", "subCode": "0", "message": ""}


def test_the_correlation_id_can_be_of_the_connection_or_missing(call: SimulatedCall) -> None:
    connected, ended = events.call_connected(call), events.participants_updated(call)
    assert data(events.with_correlation(connected, "incoming"))["correlationId"] == call.correlation_id
    own = [data(events.with_correlation(event, "connection"))["correlationId"] for event in (connected, ended)]
    assert own[0] == own[1] != call.correlation_id
    missing = data(events.with_correlation(connected, "missing"))
    assert set(data(connected)) - set(missing) == {"correlationId"}


def test_every_event_has_result_information(call: SimulatedCall) -> None:
    """The callbacks in Microsoft's recorded tests have it since the end of 2024."""
    for event in (
        events.call_connected(call),
        events.participants_updated(call),
        events.tone_received(call, 1, "one", ""),
    ):
        assert data(event)["resultInformation"] == {"code": 200, "subCode": 0, "message": ""}
    stopped = data(events.media_streaming(call, "Stopped", "subscriptionStopped"))
    assert stopped["resultInformation"] == {"code": 200, "subCode": 0, "message": "Action completed successfully."}


def test_an_event_that_acs_does_not_have_is_an_error(call: SimulatedCall) -> None:
    with pytest.raises(ValueError, match="CallConected"):
        events.event(call, "CallConected")
