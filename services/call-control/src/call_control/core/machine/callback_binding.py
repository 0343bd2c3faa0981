"""Checks that a callback belongs to the call whose URL it was posted to.

The URL is not secret, and the token on a callback is valid for every call of the ACS resource. A callback is therefore
accepted only if it contains the call's connection id: the one that ACS returned for the answer or, before that, the one
of the first accepted callback. The answer's result overrides the connection id of a callback.

Whether `correlationId` of callbacks equals that of the IncomingCall event is not documented; within one connection it
must not change. A callback may lack it.
"""

from __future__ import annotations

from dataclasses import replace

from bridge_common.wire.call_record import CallRecord
from call_control.core.events.callbacks import AcsEvent


def foreign_field(record: CallRecord, event: AcsEvent) -> str:
    """The field that shows that the callback belongs to another call; empty if it belongs to this one."""
    if record.connection_id and event.connection_id.lower() != record.connection_id.lower():
        return "callConnectionId"
    known = record.callback_correlation_id.lower()
    return "correlationId" if known and event.correlation_id.lower() not in ("", known) else ""


def with_connection(record: CallRecord, connection_id: str) -> CallRecord:
    """Set the connection id; a new one drops the correlation id of the former connection."""
    if not connection_id or connection_id == record.connection_id:
        return record
    return replace(record, connection_id=connection_id, callback_correlation_id="")


def with_correlation(record: CallRecord, event: AcsEvent) -> CallRecord:
    """The first accepted callback of a connection sets the correlation id that later ones must match."""
    if record.callback_correlation_id or not record.connection_id:
        return record
    return replace(record, callback_correlation_id=event.correlation_id)
