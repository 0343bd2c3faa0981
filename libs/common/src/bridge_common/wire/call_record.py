"""The record of one call, as all three services see it, and its form in a Redis hash.

Each field has one writer. call-control writes all but the last group, compared and swapped on `version`; the gateway
raises `uplink_epoch`, the relay that holds the lease writes the rest, each through a script of `call_store`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final

from bridge_common.base.errors import EntryError


class Status(StrEnum):
    RINGING = "ringing"
    ANSWERING = "answering"
    CONNECTED = "connected"
    TRANSFERRING = "transferring"
    """The caller holds the line while people are rung."""
    ENDING = "ending"
    DIVERTING = "diverting"
    ENDED = "ended"

    @property
    def live(self) -> bool:
        """Whether relays and gateways should work for the call."""
        return self in (Status.RINGING, Status.ANSWERING, Status.CONNECTED, Status.TRANSFERRING)


@dataclass(frozen=True, slots=True)
class PendingCommand:
    """A command to ACS whose result is not known yet. `seq` makes the Repeatability-Request-ID of every attempt."""

    seq: int
    kind: str
    argument: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """Times are Unix ms, 0 for "not yet"; parties are raw ids such as `4:+14255550100`."""

    call_id: str
    status: Status
    version: int = 0
    created_ms: int = 0
    caller: str = ""
    callee: str = ""
    correlation_id: str = ""
    server_call_id: str = ""
    incoming_call_context: str = ""
    connection_id: str = ""
    callback_correlation_id: str = ""
    """What callbacks of this connection give as `correlationId`; empty until the first of them. It is not documented
    whether that always equals `correlation_id`.
    """
    caller_display_name: str = ""
    custom_context: str = ""
    """SIP and VoIP headers that came with the call, as JSON text; empty: none. Untrusted: the caller controls them."""
    on_behalf_of: str = ""
    """Raw id of the callee if a Teams user calls out through our resource; empty for every other call."""
    profile: str = "default"
    route: str = ""
    """The routing rule, or the setting, that took the call."""
    route_reason: str = ""
    answered_ms: int = 0
    connected_ms: int = 0
    ended_ms: int = 0
    end_reason: str = ""
    voice_ready: bool = False
    media_seen: bool = False
    media_restarts: int = 0
    media_lost_ms: int = 0
    """Unix ms since when the call waits for its media; valid while the media timer is armed."""
    media_news: str = ""
    """Id of the newest inbox entry that changed the known state of the media; older entries are outdated."""
    media_epoch: int = 0
    """Newest media socket that such an entry named."""
    command_seq: int = 0
    timer_seq: int = 0
    pending: tuple[PendingCommand, ...] = ()
    traceparent: str = ""
    """Joins what the three services trace of this call (W3C Trace Context); empty when it is not traced."""

    uplink_epoch: int = 0
    greeted: bool = False
    conversation_id: str = ""
    voice_session_id: str = ""
    voice_epoch: int = 0
    """Of the relay that had the newest voice session."""
    voice_resource: str = ""
    """The Voice Live resource on which the conversation began: only there it goes on by its id."""
    said: str = ""
    """How far the text of a say is spoken, as `<say id>:<characters>`."""


FOREIGN_FIELDS = frozenset(
    {"uplink_epoch", "greeted", "conversation_id", "voice_session_id", "voice_epoch", "voice_resource", "said"}
)
"""Fields that call-control reads but never writes."""


def encode_record(record: CallRecord) -> dict[str, str]:
    """Every field as text: flags as 0/1, the outbox as JSON."""
    return {field.name: _encode(getattr(record, field.name)) for field in fields(record)}


def decode_record(stored: Mapping[bytes, bytes]) -> CallRecord:
    """Fields that a newer version wrote are ignored, missing ones take their defaults.

    Raises `EntryError` when the hash is no call record.
    """
    values: dict[str, object] = {}
    try:
        for key, name, read in _READ:
            raw = stored.get(key)
            if raw is not None:
                values[name] = read(raw.decode())
        return CallRecord(**values)  # type: ignore[arg-type]  # the decoders follow the field types
    except (ValueError, TypeError, KeyError) as error:
        raise EntryError("this hash is no call record") from error


def _encode(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, tuple):
        return json.dumps([[command.seq, command.kind, command.argument] for command in value])
    return str(value)


def _decode_pending(text: str) -> tuple[PendingCommand, ...]:
    return tuple(PendingCommand(int(seq), str(kind), str(argument)) for seq, kind, argument in json.loads(text))


_DECODERS: Final[dict[str, Callable[[str], object]]] = {
    "str": str,
    "int": int,
    "bool": lambda text: text == "1",
    "Status": Status,
    "tuple[PendingCommand, ...]": _decode_pending,
}
_READ: Final = [(field.name.encode(), field.name, _DECODERS[str(field.type)]) for field in fields(CallRecord)]
"""Of each field: where it is stored, its name, and how it is read."""
