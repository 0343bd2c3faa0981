"""The record of one call, shared by all three services, and its encoding as a Redis hash.

Each field has one writer. call-control writes all but the last group, with compare-and-swap on `version`; the gateway
raises `uplink_epoch`, the relay that owns the lease writes the rest, each through a script of `call_store`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, fields
from enum import StrEnum
from typing import Final

from bridge_common.base.errors import EntryError


class Status(StrEnum):
    RINGING = "ringing"
    ANSWERING = "answering"
    CONNECTED = "connected"
    TRANSFERRING = "transferring"
    """The caller waits while the transfer target rings."""
    ENDING = "ending"
    DIVERTING = "diverting"
    ENDED = "ended"

    @property
    def live(self) -> bool:
        """Whether relays and gateways should handle the call."""
        return self in (Status.RINGING, Status.ANSWERING, Status.CONNECTED, Status.TRANSFERRING)


@dataclass(frozen=True, slots=True)
class PendingCommand:
    """A command to ACS whose result is not known yet. The Repeatability-Request-ID of each attempt derives
    from `seq`.
    """

    seq: int
    kind: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class CallAction:
    """A requested action (`entries.Act`) and its outcome."""

    id: str
    kind: str
    arguments: str
    """JSON object as text, without values that must not be stored."""
    by: str
    at_ms: int
    state: str = "accepted"
    """`accepted`, `running`, `done`, `failed` or `canceled`."""
    reason: str = ""
    operation: str = ""
    """`operationContext` of the callback that reports the outcome."""

    @property
    def open(self) -> bool:
        """Whether the outcome is not known yet."""
        return self.state in ("accepted", "running")


@dataclass(frozen=True, slots=True)
class Participant:
    """A person in the call other than the caller: called into it, or found in a roster of ACS."""

    raw_id: str
    name: str = ""
    """Name of the target in the routing policy."""
    state: str = "ringing"
    """`ringing`, `joined`, `left`, `failed`."""
    action_id: str = ""
    """The action that called the person."""
    invitation_id: str = ""
    """Id of ACS; empty until the invitation was accepted, or if ACS did not send it."""
    at_ms: int = 0
    """Unix ms of the latest change of `state`, or of the begin of the conversation with the caller."""
    on_hold: bool = False
    muted: bool = False

    @property
    def joined(self) -> bool:
        return self.state == "joined"


class TransferStage(StrEnum):
    NONE = ""
    CONNECTING = "connecting"
    """The caller hears that they are being connected."""
    TRANSFERRING = "transferring"
    """Blind: ACS calls the target, and our leg ends when it answers."""
    DIALING = "dialing"
    """Attended: the target is invited into the call."""
    SCREENING = "screening"
    """The target has answered; the relay introduces the call and awaits the confirmation, if the profile asks for it.
    """
    BRIDGED = "bridged"
    """Caller and target talk, and the agent is silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """The state of one call. Times are Unix ms, 0 for "not yet"; parties are raw ids such as `4:+14255550100`."""

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
    """`correlationId` of this connection's callbacks; empty until the first callback. ACS does not document whether it
    always equals `correlation_id`.
    """
    caller_display_name: str = ""
    custom_context: str = ""
    """SIP and VoIP headers of the call as JSON text; empty if there are none. Untrusted: the caller controls them."""
    on_behalf_of: str = ""
    """Raw id of the callee if a Teams user calls out through our ACS resource; empty for other calls."""
    profile: str = "default"
    route: str = ""
    """Routing rule or setting that matched the call."""
    route_reason: str = ""
    slot: str = ""
    """Routing rule with `max_calls` in which the call has a place, or waits for one; empty: none."""
    answered_ms: int = 0
    connected_ms: int = 0
    ended_ms: int = 0
    end_reason: str = ""
    hang_up_ms: int = 0
    """Unix ms of the first request to hang up."""
    voice_ready: bool = False
    media_seen: bool = False
    media_restarts: int = 0
    media_lost_ms: int = 0
    """Unix ms at which the call lost its media; valid while the media timer is armed."""
    media_news: str = ""
    """Id of the newest inbox entry that changed the known state of the media; older entries are outdated."""
    media_epoch: int = 0
    """Epoch of the newest media socket in such an entry."""
    command_seq: int = 0
    timer_seq: int = 0
    pending: tuple[PendingCommand, ...] = ()
    actions: tuple[CallAction, ...] = ()
    closing: str = ""
    """Id of the action after which call-control hangs up, when the goodbye was heard."""
    transfer: str = ""
    """Id of the action `transfer` that is under way."""
    transfer_stage: TransferStage = TransferStage.NONE
    participants: tuple[Participant, ...] = ()
    caller_listed: str = ""
    """Raw id under which ACS lists the caller among the participants; empty until it has done so."""
    caller_on_hold: bool = False
    caller_muted: bool = False
    traceparent: str = ""
    """Links the spans of the three services (W3C Trace Context); empty when the call is not traced."""

    uplink_epoch: int = 0
    greeted: bool = False
    conversation_id: str = ""
    voice_session_id: str = ""
    voice_epoch: int = 0
    """Lease epoch of the relay that opened the newest voice session."""
    voice_resource: str = ""
    """Voice Live resource of the conversation, which can only be resumed there."""
    profile_version: str = ""
    """Hash of the agent profile that the call uses."""
    call_reference: str = ""
    """Identifies the call to tools of a Foundry agent (ADR 37). Not shown to users."""
    said: str = ""
    """Progress of an announcement: the spoken characters, as `<say id>:<characters>`."""


FOREIGN_FIELDS = frozenset(
    {
        "uplink_epoch",
        "greeted",
        "conversation_id",
        "voice_session_id",
        "voice_epoch",
        "voice_resource",
        "profile_version",
        "call_reference",
        "said",
    }
)
"""Fields that call-control reads but never writes."""


def encode_record(record: CallRecord) -> dict[str, str]:
    """Return every field as text: booleans as 0/1, tuples as JSON."""
    return {field.name: _encode(getattr(record, field.name)) for field in fields(record)}


def decode_record(stored: Mapping[bytes, bytes]) -> CallRecord:
    """Return the record in a Redis hash. Fields of newer versions are ignored, missing ones take their defaults.

    Raises `EntryError` if the hash is not a valid call record.
    """
    values: dict[str, object] = {}
    for key, name, read in _READ:
        raw = stored.get(key)
        if raw is not None:
            try:
                values[name] = read(raw.decode())
            except (ValueError, TypeError, KeyError) as error:
                raise EntryError(f"the hash is not a valid call record: field `{name}` is invalid") from error
    missing = [name for name in _REQUIRED if name not in values]
    if missing:
        raise EntryError(f"the hash is not a valid call record: field `{missing[0]}` is missing")
    return CallRecord(**values)  # type: ignore[arg-type]  # the decoders follow the field types


def _encode(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, tuple):
        return json.dumps([astuple(item) for item in value])
    return str(value)


def _decode_pending(text: str) -> tuple[PendingCommand, ...]:
    return tuple(PendingCommand(int(seq), str(kind), str(argument)) for seq, kind, argument in json.loads(text))


def _decode_actions(text: str) -> tuple[CallAction, ...]:
    """Decode the actions. Values added by a newer release are ignored."""
    return tuple(CallAction(*values[: len(fields(CallAction))]) for values in json.loads(text))


def _decode_participants(text: str) -> tuple[Participant, ...]:
    """Decode the participants. Values added by a newer release are ignored."""
    return tuple(Participant(*values[: len(fields(Participant))]) for values in json.loads(text))


_DECODERS: Final[dict[str, Callable[[str], object]]] = {
    "str": str,
    "int": int,
    "bool": lambda text: text == "1",
    "Status": Status,
    "tuple[PendingCommand, ...]": _decode_pending,
    "tuple[CallAction, ...]": _decode_actions,
    "tuple[Participant, ...]": _decode_participants,
    "TransferStage": TransferStage,
}
_REQUIRED: Final = ("call_id", "status")
_READ: Final = [(field.name.encode(), field.name, _DECODERS[str(field.type)]) for field in fields(CallRecord)]
"""(stored key, field name, decoder) of each field."""
