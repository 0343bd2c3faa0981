"""The events that ACS posts to the callback URL of a call, as CloudEvents 1.0 (ACS docs, "Call Automation events").

No I/O. Like recorded payloads, `data` has two fields that are missing from the published models: `version` (the
api-version of the request that set up the call) and `publicEventType`. All events have `resultInformation`, as all
events recorded since the end of 2024; of older ones only some have it (fault `results: missing`).
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Final, Literal

from lab.acs.call_ends import CallEnd
from lab.acs.calls import SimulatedCall
from lab.acs.party_identifiers import Identifier, Json

Results = Literal["number", "text", "float", "missing"]
Correlation = Literal["incoming", "connection", "missing"]
PREFIX = "Microsoft.Communication."
SUCCESS = "Action completed successfully."
NOTHING_TO_REPORT: Final[Json] = {"code": 200, "subCode": 0, "message": ""}
"""`resultInformation` of an event that is not the outcome of an action."""
NAMES: Final = frozenset(
    {
        *("CallConnected", "CallDisconnected", "CreateCallFailed", "ParticipantsUpdated"),
        *("CallTransferAccepted", "CallTransferFailed"),
        *("AddParticipantSucceeded", "AddParticipantFailed", "RemoveParticipantSucceeded"),
        *("CancelAddParticipantSucceeded", "CancelAddParticipantFailed"),
        *("MoveParticipantSucceeded", "MoveParticipantFailed"),
        *("HoldFailed", "HoldAudioStarted", "HoldAudioPaused", "HoldAudioResumed", "HoldAudioCompleted"),
        *("MediaStreamingStarted", "MediaStreamingStopped", "MediaStreamingFailed"),
        *("PlayStarted", "PlayCompleted", "PlayCanceled", "PlayFailed", "SendDtmfTonesCompleted"),
        "SendDtmfTonesFailed",
        *("ContinuousDtmfRecognitionToneReceived", "ContinuousDtmfRecognitionStopped"),
    }
)
"""Types of the events that the simulator sends, without the prefix."""


def event(call: SimulatedCall, name: str, context: str | None = None, **fields: object) -> Json:
    """Return one CloudEvent with additional `fields`. Fields with the value `None` are omitted."""
    if name not in NAMES:
        raise ValueError(f"ACS has no event {name!r}")
    source = f"calling/callConnections/{call.connection_id}"
    data: Json = {
        "version": call.callback.version if call.callback else "",
        "operationContext": context,
        "resultInformation": NOTHING_TO_REPORT,
        **fields,
        "callConnectionId": call.connection_id,
        "serverCallId": call.server_call_id,
        "correlationId": call.correlation_id,
        "publicEventType": PREFIX + name,
    }
    return {
        "id": str(uuid.uuid4()),
        "source": source,
        "type": PREFIX + name,
        "data": {key: value for key, value in data.items() if value is not None},
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}0+00:00",
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "subject": source,
    }


def result(code: int = 200, sub_code: int = 0, message: str = SUCCESS) -> Json:
    return {"code": code, "subCode": sub_code, "message": message}


def with_results(form: Json, results: Results) -> Json:
    """Return the event with the codes of `resultInformation` as strings or floats, or without `resultInformation`."""
    data = form["data"]
    if results == "number" or not isinstance(data, dict) or not isinstance(info := data.get("resultInformation"), dict):
        return form
    if results == "missing":
        return form | {"data": {name: data[name] for name in data if name != "resultInformation"}}
    convert = str if results == "text" else float
    codes = {name: convert(info[name]) for name in ("code", "subCode")}
    return form | {"data": data | {"resultInformation": info | codes}}


def with_correlation(form: Json, correlation: Correlation) -> Json:
    """Return the event with the `correlationId` of the IncomingCall event, with one per connection, or without any. The
    ACS documentation does not specify which one ACS sends.
    """
    data = form["data"]
    if correlation == "incoming" or not isinstance(data, dict):
        return form
    others = {name: data[name] for name in data if name != "correlationId"}
    own = {"correlationId": str(uuid.uuid5(uuid.NAMESPACE_URL, str(data["callConnectionId"])))}
    return form | {"data": others if correlation == "missing" else others | own}


def call_connected(call: SimulatedCall) -> Json:
    return event(call, "CallConnected", _call_context(call))


def call_disconnected(call: SimulatedCall, end: CallEnd) -> Json:
    info = result(end.code, end.sub_code, end.message)
    return event(call, "CallDisconnected", _call_context(call), resultInformation=info)


def create_call_failed(call: SimulatedCall, end: CallEnd) -> Json:
    info = result(end.code, end.sub_code, end.message)
    return event(call, "CreateCallFailed", _call_context(call), resultInformation=info)


def last_events(call: SimulatedCall, end: CallEnd, failed_create: str) -> list[Json]:
    """Return the events of the end of a call. `failed_create`: the form for a call whose callee did not answer."""
    last = [call_disconnected(call, end)]
    if call.outbound and end.by == "callee":
        last.insert(0, create_call_failed(call, end))
        if failed_create.startswith("disconnected"):
            last.reverse()
        if failed_create.endswith("only"):
            last.pop()
    return last


def participants_updated(call: SimulatedCall, *, also: Json | None = None) -> Json:
    """Return the roster. `also`: a participant that has left, for a stale roster."""
    participants = [participant.json() for participant in call.participants.values()]
    participants += [] if also is None else [also]
    sequence = call.next_participants_sequence()
    return event(call, "ParticipantsUpdated", participants=participants, sequenceNumber=sequence)


def repeated_roster(roster: Json, sequence: int) -> Json:
    """Return the same roster as another event with this sequence number."""
    body = roster["data"]
    assert isinstance(body, dict)
    return roster | {"id": str(uuid.uuid4()), "data": body | {"sequenceNumber": sequence}}


def media_streaming(
    call: SimulatedCall, what: str, details: str, context: str | None = None, info: Json | None = None
) -> Json:
    """Return a media streaming event. `what`: Started, Stopped or Failed. `details`: a documented status detail.
    `context`: None for the operationContext of the answer request, "" for no context.
    """
    update = {
        "contentType": "Audio",
        "mediaStreamingStatus": f"mediaStreaming{what}",
        "mediaStreamingStatusDetails": details,
    }
    context = _call_context(call) if context is None else context
    return event(
        call, f"MediaStreaming{what}", context or None, mediaStreamingUpdate=update, resultInformation=info or result()
    )


def stream_connect_failed(call: SimulatedCall, context: str | None = None) -> Json:
    message = "Action failed, Transport url is not valid or web socket server is not operational."
    info = result(400, 8581, message)
    return media_streaming(call, "Failed", "initialWebSocketConnectionFailed", context, info)


def stream_lost(call: SimulatedCall, details: str, context: str | None = None) -> Json:
    return media_streaming(call, "Failed", details, context, result(400, 8603, "Media streaming failed."))


def transfer_accepted(call: SimulatedCall, target: Identifier, transferee: Identifier, context: str | None) -> Json:
    parties = {"transferTarget": target.json(), "transferee": transferee.json()}
    return event(call, "CallTransferAccepted", context, **parties, resultInformation=result())


def completed(call: SimulatedCall, name: str, context: str | None, **fields: object) -> Json:
    return event(call, name, context, resultInformation=result(), **fields)


def failed(
    call: SimulatedCall, name: str, context: str | None, code: int, sub_code: int, message: str, **fields: object
) -> Json:
    return event(call, name, context, resultInformation=result(code, sub_code, message), **fields)


def add_failed(call: SimulatedCall, target: Identifier, context: str | None, end: CallEnd, invitation: str) -> Json:
    message = f"addParticipants failed for participant {target.raw_id}. Underlying reason: {end.message}"
    fields: Json = {"participant": target.json(), "invitationId": invitation}
    return failed(call, "AddParticipantFailed", context, end.code, end.sub_code, message, **fields)


def tone_received(call: SimulatedCall, sequence: int, tone: str, context: str | None) -> Json:
    """Return the event of one DTMF tone. `tone`: a word (`five`, `pound`); the media socket uses characters."""
    return event(call, "ContinuousDtmfRecognitionToneReceived", context, sequenceId=sequence, tone=tone)


def _call_context(call: SimulatedCall) -> str | None:
    return call.callback.operation_context if call.callback else None
