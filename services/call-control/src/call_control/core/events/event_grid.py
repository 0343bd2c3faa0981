"""Event Grid webhook bodies: Event Grid schema or CloudEvents 1.0, one event or an array.

Sources: Event Grid docs, "Webhook event delivery", "Endpoint validation with Event Grid event schema"; ACS docs,
"Incoming call concepts".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from call_control.core.events.custom_context import MAX_DISPLAY_NAME_LENGTH, clean, decode_context
from call_control.core.events.identifiers import is_present, raw_id_in
from call_control.core.events.json_fields import MAX_ID_LENGTH, BadEvent, Ignored, Node, decode_each

VALIDATION: Final = "Microsoft.EventGrid.SubscriptionValidationEvent"
INCOMING_CALL: Final = "Microsoft.Communication.IncomingCall"
UNKNOWN: Final = "unknown"
_MAX_CONTEXT: Final = 64 * 1024
"""Incoming-call contexts are a few KB."""


@dataclass(frozen=True, slots=True)
class ValidationRequest:
    """Answer 200 with `{"validationResponse": code}`."""

    code: str


@dataclass(frozen=True, slots=True)
class IncomingCallEvent:
    event_id: str
    caller: str
    """Raw id; empty if the event does not identify the caller."""
    callee: str
    incoming_call_context: str
    """The only required field: without it a call can be neither answered nor rejected."""
    correlation_id: str
    server_call_id: str
    display_name: str = ""
    custom_context: str = ""
    """See `custom_context`."""
    on_behalf_of: str = ""
    """Raw id of the callee if a Teams user calls out through our resource, `unknown` if it cannot be decoded."""
    rang_ms: int = 0
    """Unix time in ms of the event; 0 if the event has no valid time."""


GridEvent: TypeAlias = ValidationRequest | IncomingCallEvent | Ignored


def decode_events(body: bytes) -> list[GridEvent | BadEvent]:
    """Decode each event of the body. Raises `InputError` if there is none (`decode_each`)."""
    return decode_each(body, _decode)


def _decode(node: Node) -> GridEvent:
    type_field = "type" if "specversion" in node.values or "eventType" not in node.values else "eventType"
    type_ = node.text(type_field)
    if type_ == VALIDATION:
        return ValidationRequest(node.child("data").text("validationCode", limit=MAX_ID_LENGTH))
    if type_ == INCOMING_CALL:
        time = node.plain_text("time") or node.plain_text("eventTime")
        return _incoming_call(node.identifier("id"), _unix_ms(time), node.child("data"))
    return Ignored(type_)


def _incoming_call(event_id: str, rang_ms: int, data: Node) -> IncomingCallEvent:
    return IncomingCallEvent(
        event_id=event_id,
        caller=raw_id_in(data, "from"),
        callee=raw_id_in(data, "to"),
        incoming_call_context=data.text("incomingCallContext", limit=_MAX_CONTEXT),
        correlation_id=data.identifier("correlationId"),
        server_call_id=data.plain_text("serverCallId"),
        display_name=clean(data.plain_text("callerDisplayName"), MAX_DISPLAY_NAME_LENGTH),
        custom_context=decode_context(data),
        on_behalf_of=(raw_id_in(data, "onBehalfOfCallee") or UNKNOWN) if is_present(data, "onBehalfOfCallee") else "",
        rang_ms=rang_ms,
    )


def _unix_ms(text: str) -> int:
    """Unix ms of an RFC 3339 time, 0 if it is not valid; a time without an offset is UTC."""
    try:
        time = datetime.fromisoformat(text)
        return max(0, round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000))
    except (ValueError, OverflowError):
        return 0
