"""Mid-call events of ACS: batches of CloudEvents that Call Automation posts to the callback URL.

Source: ACS docs, "Call Automation overview", and the event models of azure-communication-callautomation 1.6.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Final

from bridge_common.base.errors import InputError
from bridge_common.wire.call_record import CallRecord
from call_control.core.events.identifiers import raw_id_in
from call_control.core.events.json_fields import MAX_ID_LENGTH, BadEvent, Ignored, Node, decode_each

_PREFIX: Final = "Microsoft.Communication."
_MESSAGE_LENGTH: Final = 1000
_DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TONES: Final = {
    **{word: str(digit) for digit, word in enumerate(_DIGITS)},
    **{letter: letter.upper() for letter in "abcd"},
    "asterisk": "*",
    "pound": "#",
}
"""`DtmfTone` of Call Automation."""


@dataclass(frozen=True, slots=True)
class AcsEvent:
    """A mid-call event of ACS. Fields that ACS did not send are 0 or empty.

    `type`: without its prefix, e.g. `CallConnected`. `id`: of the CloudEvent, or a digest of it if it has none.
    """

    id: str
    type: str
    connection_id: str
    correlation_id: str = ""
    operation_context: str = ""
    code: int = 0
    sub_code: int = 0
    message: str = ""
    media_status: str = ""
    media_details: str = ""
    participant: str = ""
    """Raw id of the invited or removed participant."""
    invitation_id: str = ""
    listed: tuple[str, ...] = ()
    """Raw ids of the participants in `ParticipantsUpdated`, which may be outdated."""
    tone: str = ""
    """`0` to `9`, `A` to `D`, `*`, `#`; empty for an unknown one."""
    data: str = ""
    """The event's data as JSON text, as stored in the inbox."""


def decode_callbacks(body: bytes) -> list[AcsEvent | Ignored | BadEvent]:
    """Decode each event of the body. Raises `InputError` if the body has no events (`decode_each`)."""
    return decode_each(body, _decode)


def decode_data(event_id: str, type_: str, data: str) -> AcsEvent:
    """Decode an event that was stored in the inbox. Raises `InputError`."""
    values: object = json.loads(data)
    if not isinstance(values, dict):
        raise InputError("data must be an object")
    return _event(event_id, type_, Node("data", values))


def _decode(node: Node) -> AcsEvent | Ignored:
    type_ = node.text("type")
    if not type_.startswith(_PREFIX):
        return Ignored(type_)
    return _event(node.identifier("id") or node.digest(), type_.removeprefix(_PREFIX), node.part("data"))


def _event(event_id: str, type_: str, data: Node) -> AcsEvent:
    result, media = data.part("resultInformation"), data.part("mediaStreamingUpdate")
    return AcsEvent(
        id=event_id,
        type=type_,
        connection_id=data.plain_text("callConnectionId"),
        correlation_id=data.identifier("correlationId"),
        operation_context=data.plain_text("operationContext"),
        code=result.number("code"),
        sub_code=result.number("subCode"),
        message=result.plain_text("message", limit=_MESSAGE_LENGTH),
        media_status=media.plain_text("mediaStreamingStatus", limit=MAX_ID_LENGTH),
        media_details=media.plain_text("mediaStreamingStatusDetails", limit=MAX_ID_LENGTH),
        participant=raw_id_in(data, "participant"),
        invitation_id=data.identifier("invitationId"),
        listed=tuple(filter(None, (raw_id_in(one, "identifier") for one in data.parts("participants")))),
        tone=_TONES.get(data.plain_text("tone").lower(), ""),
        data=json.dumps(data.values),
    )


# -- Does a callback belong to the call of its URL? The URL is not secret, and the token of a callback is valid for
# every call of the ACS resource. A callback is therefore accepted only if it contains the call's connection id: the
# id that ACS returned for the answer request or, before that, the id of the first accepted callback. The result of
# the answer request overrides the connection id of a callback. Whether `correlationId` equals that of the
# IncomingCall event is not documented; within one connection it must not change. It may be missing.
def foreign_field(record: CallRecord, event: AcsEvent) -> str:
    """Return the field that shows that the callback belongs to another call; empty if it belongs to this call."""
    if record.connection_id and event.connection_id.lower() != record.connection_id.lower():
        return "callConnectionId"
    known = record.callback_correlation_id.lower()
    return "correlationId" if known and event.correlation_id.lower() not in ("", known) else ""


def with_connection(record: CallRecord, connection_id: str) -> CallRecord:
    """Set the connection id. A new one clears the correlation id, which belongs to the former connection."""
    if not connection_id or connection_id == record.connection_id:
        return record
    return replace(record, connection_id=connection_id, callback_correlation_id="")


def with_correlation(record: CallRecord, event: AcsEvent) -> CallRecord:
    """Set the correlation id from the first accepted callback of a connection; later callbacks must match it."""
    if record.callback_correlation_id or not record.connection_id:
        return record
    return replace(record, callback_correlation_id=event.correlation_id)
