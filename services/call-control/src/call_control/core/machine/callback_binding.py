"""Whether a callback belongs to the call to whose URL it was posted.

The URL is no secret, and the token on a callback is valid for every call of the ACS resource. So a callback counts only
if it names the call's connection: the one that ACS gave with the answer, or before that the one of the first callback
that was accepted. The answer's result overrides what a callback said.

Whether `correlationId` of callbacks equals that of the IncomingCall event is not documented; within one connection it
has to stay the same. A callback may lack it.
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
    """What callbacks of another connection said about themselves is dropped."""
    if not connection_id or connection_id == record.connection_id:
        return record
    return replace(record, connection_id=connection_id, callback_correlation_id="")


def with_correlation(record: CallRecord, event: AcsEvent) -> CallRecord:
    """The first accepted callback of a connection sets what the later ones have to give."""
    if record.callback_correlation_id or not record.connection_id:
        return record
    return replace(record, callback_correlation_id=event.correlation_id)
