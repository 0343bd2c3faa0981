"""Mid-call events of ACS: batches of CloudEvents that Call Automation posts to the callback URL.

Source: ACS docs, "Call Automation overview", and the event models of azure-communication-callautomation 1.6.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from bridge_common.errors import InputError
from call_control.core.json_fields import MAX_ID_LENGTH, Node, events_of

_PREFIX: Final = "Microsoft.Communication."


@dataclass(frozen=True, slots=True)
class AcsEvent:
    """`type` without its prefix, e.g. `CallConnected`; `code` and `sub_code` are 0 where ACS gives no result."""

    id: str
    type: str
    connection_id: str
    operation_context: str = ""
    code: int = 0
    sub_code: int = 0
    message: str = ""
    media_status: str = ""
    media_details: str = ""
    data: str = ""
    """The event's data as JSON text: what goes into the inbox."""


def decode_callbacks(body: bytes) -> list[AcsEvent]:
    """Raises `InputError`, naming the field, unless every event of the body is good."""
    return [_decode(node) for node in events_of(body)]


def decode_data(event_id: str, type_: str, data: str) -> AcsEvent:
    """The same event, from what the inbox keeps of it."""
    values: object = json.loads(data)
    if not isinstance(values, dict):
        raise InputError("data: an object is needed")
    return _event(event_id, type_, Node("data", values))


def _decode(node: Node) -> AcsEvent:
    type_ = node.text("type", limit=MAX_ID_LENGTH)
    if not type_.startswith(_PREFIX):
        raise InputError(f"{node.path}.type: no event type of Call Automation".removeprefix("."))
    return _event(node.text("id", limit=MAX_ID_LENGTH), type_.removeprefix(_PREFIX), node.child("data"))


def _event(event_id: str, type_: str, data: Node) -> AcsEvent:
    result = data.optional_child("resultInformation")
    media = data.optional_child("mediaStreamingUpdate")
    return AcsEvent(
        id=event_id,
        type=type_,
        connection_id=data.text("callConnectionId", limit=MAX_ID_LENGTH),
        operation_context=data.optional_text("operationContext", limit=5000),
        code=result.optional_number("code"),
        sub_code=result.optional_number("subCode"),
        message=result.optional_text("message"),
        media_status=media.optional_text("mediaStreamingStatus"),
        media_details=media.optional_text("mediaStreamingStatusDetails"),
        data=json.dumps(data.values),
    )
