"""Event Grid webhook bodies: Event Grid schema or CloudEvents 1.0, one event or an array.

Sources: Event Grid docs, "Webhook event delivery", "Endpoint validation with Event Grid event schema"; ACS docs,
"Incoming call concepts".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from bridge_common.errors import InputError
from call_control.core.json_fields import MAX_ID_LENGTH, Node, events_of

VALIDATION: Final = "Microsoft.EventGrid.SubscriptionValidationEvent"
INCOMING_CALL: Final = "Microsoft.Communication.IncomingCall"
_OURS: Final = ("Microsoft.Communication.", "Microsoft.EventGrid.")
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
    """Raw id."""
    callee: str
    incoming_call_context: str
    correlation_id: str
    server_call_id: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A type that the same topic also sends and that we have no use for."""

    type: str


GridEvent: TypeAlias = ValidationRequest | IncomingCallEvent | Ignored


def decode_events(body: bytes) -> list[GridEvent]:
    """Raises `InputError`, naming the field, unless every event of the body is good."""
    return [_decode(node) for node in events_of(body)]


def _decode(node: Node) -> GridEvent:
    type_field = "type" if "specversion" in node.values else "eventType"
    type_ = node.text(type_field, limit=MAX_ID_LENGTH)
    if type_ == VALIDATION:
        return ValidationRequest(node.child("data").text("validationCode", limit=MAX_ID_LENGTH))
    if type_ == INCOMING_CALL:
        return _incoming_call(node.text("id", limit=MAX_ID_LENGTH), node.child("data"))
    if type_.startswith(_OURS):
        return Ignored(type_)
    raise InputError(f"{node.path}.{type_field}: no event type of this topic".removeprefix("."))


def _incoming_call(event_id: str, data: Node) -> IncomingCallEvent:
    return IncomingCallEvent(
        event_id=event_id,
        caller=_raw_id(data.child("from")),
        callee=_raw_id(data.child("to")),
        incoming_call_context=data.text("incomingCallContext", limit=_MAX_CONTEXT),
        correlation_id=data.text("correlationId", limit=MAX_ID_LENGTH),
        server_call_id=data.optional_text("serverCallId"),
    )


def _raw_id(party: Node) -> str:
    """`rawId`, or what it would be for a phone number that came without (older events did)."""
    raw_id = party.optional_text("rawId", limit=MAX_ID_LENGTH)
    if raw_id:
        return raw_id
    return "4:" + party.child("phoneNumber").text("value", limit=MAX_ID_LENGTH)
