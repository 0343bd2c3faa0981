"""Event Grid webhook bodies: Event Grid schema or CloudEvents 1.0, one event or an array.

Sources: Event Grid docs, "Webhook event delivery", "Endpoint validation with Event Grid event schema"; ACS docs,
"Incoming call concepts".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeAlias

from bridge_common.base.ids import call_id_of
from bridge_common.wire.entries import IncomingCall
from call_control.core.events.custom_context import MAX_DISPLAY_NAME_LENGTH, clean, decode_context
from call_control.core.events.identifiers import is_present, raw_id_in
from call_control.core.events.json_fields import MAX_ID_LENGTH, BadEvent, Ignored, Node, decode_each

VALIDATION: Final = "Microsoft.EventGrid.SubscriptionValidationEvent"
INCOMING_CALL: Final = "Microsoft.Communication.IncomingCall"
UNKNOWN: Final = "unknown"
"""Value of `on_behalf_of` if the callee could not be decoded."""
_MAX_CONTEXT: Final = 64 * 1024
"""Limit for the incoming-call context in characters; real ones have a few thousand."""


@dataclass(frozen=True, slots=True)
class ValidationRequest:
    """Request of Event Grid to validate the webhook. The response must be 200 with `{"validationResponse": code}`."""

    code: str


GridEvent: TypeAlias = ValidationRequest | IncomingCall | Ignored


def decode_events(body: bytes, received_ms: int) -> list[GridEvent | BadEvent]:
    """Decode each event of the body. `received_ms`: its arrival, Unix ms. Raises `InputError` if it has no events."""
    return decode_each(body, partial(_decode, received_ms=received_ms))


def _decode(node: Node, *, received_ms: int) -> GridEvent:
    type_field = "type" if "specversion" in node.values or "eventType" not in node.values else "eventType"
    type_ = node.text(type_field)
    if type_ == VALIDATION:
        return ValidationRequest(node.child("data").text("validationCode", limit=MAX_ID_LENGTH))
    if type_ == INCOMING_CALL:
        return _incoming_call(node, node.child("data"), received_ms)
    return Ignored(type_)


def _incoming_call(node: Node, data: Node, received_ms: int) -> IncomingCall:
    """Decode an IncomingCall event.

    Only `incomingCallContext` is required: without it the call can be neither answered nor rejected.
    """
    context = data.text("incomingCallContext", limit=_MAX_CONTEXT)
    correlation_id = data.identifier("correlationId")
    return IncomingCall(
        call_id=call_id_of(correlation_id or context),
        event_id=node.identifier("id"),
        caller=raw_id_in(data, "from"),
        callee=raw_id_in(data, "to"),
        incoming_call_context=context,
        correlation_id=correlation_id,
        server_call_id=data.plain_text("serverCallId"),
        received_ms=received_ms,
        display_name=clean(data.plain_text("callerDisplayName"), MAX_DISPLAY_NAME_LENGTH),
        custom_context=decode_context(data),
        on_behalf_of=(raw_id_in(data, "onBehalfOfCallee") or UNKNOWN) if is_present(data, "onBehalfOfCallee") else "",
        rang_ms=_unix_ms(node.plain_text("time") or node.plain_text("eventTime")),
    )


def _unix_ms(text: str) -> int:
    """Convert an RFC 3339 time to Unix ms, 0 if it is not valid. A time without an offset is UTC."""
    try:
        time = datetime.fromisoformat(text)
        return max(0, round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000))
    except (ValueError, OverflowError):
        return 0
