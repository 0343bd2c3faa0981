"""Events of the call machine, and the name of each event kind in its table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from bridge_common.wire.entries import (
    Act,
    Due,
    GoodbyeOver,
    HangUp,
    MediaLost,
    MediaOpen,
    Restored,
    ScreeningOver,
    UplinkMissed,
    VoiceLost,
    VoiceReady,
)
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.call_commands import AcsCommand, AnyCommand, FindRelay
from call_control.core.policy.routing import Accepted, Connected, Redirected, Rejected, Routed


@dataclass(frozen=True, slots=True)
class RingExpired:
    """The call arrived after its ring time."""


@dataclass(frozen=True, slots=True)
class PlaceFree:
    """A place in its rule is free for a waiting call."""


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """A participant as ACS lists it. ACS also lists the application, under a raw id of the ACS resource."""

    raw_id: str
    on_hold: bool = False
    muted: bool = False


@dataclass(frozen=True, slots=True)
class CommandDone:
    """A command succeeded. `connection_id` and `state` are from the response of ACS, empty if they are missing there.

    For `FindRelay`, `state` is one of its constants.
    """

    seq: int
    connection_id: str = ""
    state: str = ""
    invitation_id: str = ""
    """Id of the invitation that `AddParticipant` has sent."""
    roster: tuple[RosterEntry, ...] = ()
    """Result of `ListParticipants`."""


@dataclass(frozen=True, slots=True)
class CommandFailed:
    """A command failed permanently. `gone`: the call no longer exists (the caller hung up, stale context)."""

    seq: int
    code: str
    gone: bool = False


CallEvent: TypeAlias = (
    Accepted
    | Connected
    | Redirected
    | Rejected
    | Routed
    | PlaceFree
    | RingExpired
    | VoiceReady
    | VoiceLost
    | MediaOpen
    | MediaLost
    | UplinkMissed
    | HangUp
    | Act
    | GoodbyeOver
    | ScreeningOver
    | Due
    | Restored
    | AcsEvent
    | CommandDone
    | CommandFailed
)


class EventKind(StrEnum):
    ACCEPTED = "accepted"
    QUEUED = "queued"
    PLACE_FREE = "place free"
    CONNECT = "connected by policy"
    REDIRECTED = "redirected by policy"
    REJECTED = "rejected by policy"
    RING_EXPIRED = "ring time over"
    VOICE_READY = "voice ready"
    VOICE_LOST = "voice lost"
    MEDIA_OPEN = "media open"
    MEDIA_LOST = "media lost"
    UPLINK_MISSED = "uplink missed"
    HANG_UP = "hang-up requested"
    ACT_HANG_UP = "action hang_up"
    ACT_SEND_DTMF = "action send_dtmf"
    ACT_NOTE = "action note"
    ACT_DISPOSITION = "action disposition"
    ACT_TRANSFER = "action transfer"
    ACT_ADD = "action add_participant"
    ACT_REMOVE = "action remove_participant"
    ACT_HOLD = "action hold"
    ACT_RESUME = "action resume"
    ACT_MUTE = "action mute"
    ACT_RETURN = "action return_to_agent"
    GOODBYE_OVER = "goodbye over"
    SCREENING_OVER = "screening over"
    RESTORED = "restored"
    WAIT_DUE = "wait deadline"
    PLACE_DUE = "place deadline"
    VOICE_DUE = "voice deadline"
    CLAIM_DUE = "claim deadline"
    TRANSFER_DUE = "transfer deadline"
    APOLOGY_DUE = "apology deadline"
    CONNECT_DUE = "connect deadline"
    MEDIA_DUE = "media deadline"
    LENGTH_DUE = "length deadline"
    WARNING_DUE = "warning deadline"
    TONES_DUE = "tones deadline"
    CLOSING_DUE = "closing deadline"
    WORDS_DUE = "words deadline"
    RING_DUE = "ring deadline"
    SCREENING_DUE = "screening deadline"
    PEOPLE_DUE = "people deadline"
    ROSTER_DUE = "roster deadline"
    ENDING_DUE = "ending deadline"
    CALL_CONNECTED = "CallConnected"
    CALL_DISCONNECTED = "CallDisconnected"
    ANSWER_FAILED = "AnswerFailed"
    STREAMING_FAILED = "MediaStreamingFailed"
    STREAMING_STOPPED = "MediaStreamingStopped"
    TRANSFER_ACCEPTED = "CallTransferAccepted"
    TRANSFER_FAILED = "CallTransferFailed"
    DTMF_SENT = "SendDtmfTonesCompleted"
    DTMF_FAILED = "SendDtmfTonesFailed"
    ADDED = "AddParticipantSucceeded"
    ADD_FAILED = "AddParticipantFailed"
    CANCELED = "CancelAddParticipantSucceeded"
    CANCEL_FAILED = "CancelAddParticipantFailed"
    REMOVED = "RemoveParticipantSucceeded"
    REMOVE_FAILED = "RemoveParticipantFailed"
    ROSTER = "ParticipantsUpdated"
    HOLD_FAILED = "HoldFailed"
    TONE = "ContinuousDtmfRecognitionToneReceived"
    FIND_RELAY_DONE = "FindRelay done"
    ANSWER_DONE = "Answer done"
    ANSWER_REFUSED = "Answer refused"
    ANSWER_GONE = "Answer: call gone"
    REDIRECT_DONE = "Redirect done"
    REDIRECT_REFUSED = "Redirect refused"
    REDIRECT_GONE = "Redirect: call gone"
    REJECT_DONE = "Reject done"
    REJECT_REFUSED = "Reject refused"
    REJECT_GONE = "Reject: call gone"
    HANG_UP_DONE = "HangUp done"
    HANG_UP_REFUSED = "HangUp refused"
    HANG_UP_GONE = "HangUp: call gone"
    TRANSFER_REFUSED = "Transfer refused"
    TRANSFER_GONE = "Transfer: call gone"
    LOOK_UP_DONE = "LookUp done"
    LOOK_UP_REFUSED = "LookUp refused"
    LOOK_UP_GONE = "LookUp: call gone"
    SEND_DTMF_REFUSED = "SendDtmf refused"
    SEND_DTMF_GONE = "SendDtmf: call gone"
    ADD_DONE = "AddParticipant done"
    ADD_REFUSED = "AddParticipant refused"
    ADD_GONE = "AddParticipant: call gone"
    CANCEL_ADD_REFUSED = "CancelAdd refused"
    CANCEL_ADD_GONE = "CancelAdd: call gone"
    REMOVE_REFUSED = "RemoveParticipant refused"
    REMOVE_GONE = "RemoveParticipant: call gone"
    LIST_DONE = "ListParticipants done"
    LIST_GONE = "ListParticipants: call gone"
    HOLD_DONE = "HoldParticipant done"
    HOLD_REFUSED = "HoldParticipant refused"
    HOLD_GONE = "HoldParticipant: call gone"
    UNHOLD_DONE = "UnholdParticipant done"
    UNHOLD_REFUSED = "UnholdParticipant refused"
    UNHOLD_GONE = "UnholdParticipant: call gone"
    MUTE_DONE = "MuteParticipant done"
    MUTE_REFUSED = "MuteParticipant refused"
    MUTE_GONE = "MuteParticipant: call gone"
    LEAVE_REFUSED = "Leave refused"
    LEAVE_GONE = "Leave: call gone"
    TONES_REFUSED = "StartDtmf refused"
    TONES_GONE = "StartDtmf: call gone"
    START_REFUSED = "StartMediaStreaming refused"
    START_GONE = "StartMediaStreaming: call gone"


_BY_TYPE: Final[dict[type[object], EventKind]] = {
    Accepted: EventKind.ACCEPTED,
    Connected: EventKind.CONNECT,
    Redirected: EventKind.REDIRECTED,
    Rejected: EventKind.REJECTED,
    PlaceFree: EventKind.PLACE_FREE,
    RingExpired: EventKind.RING_EXPIRED,
    VoiceReady: EventKind.VOICE_READY,
    VoiceLost: EventKind.VOICE_LOST,
    MediaOpen: EventKind.MEDIA_OPEN,
    MediaLost: EventKind.MEDIA_LOST,
    UplinkMissed: EventKind.UPLINK_MISSED,
    HangUp: EventKind.HANG_UP,
    GoodbyeOver: EventKind.GOODBYE_OVER,
    ScreeningOver: EventKind.SCREENING_OVER,
    Restored: EventKind.RESTORED,
}
_BY_NAME: Final[dict[str, EventKind]] = {kind.value: kind for kind in EventKind}
KNOWN_CALLBACKS: Final = frozenset(
    kind.value
    for kind in (
        EventKind.CALL_CONNECTED,
        EventKind.CALL_DISCONNECTED,
        EventKind.ANSWER_FAILED,
        EventKind.STREAMING_FAILED,
        EventKind.STREAMING_STOPPED,
        EventKind.TRANSFER_ACCEPTED,
        EventKind.TRANSFER_FAILED,
        EventKind.DTMF_SENT,
        EventKind.DTMF_FAILED,
        EventKind.ADDED,
        EventKind.ADD_FAILED,
        EventKind.CANCELED,
        EventKind.CANCEL_FAILED,
        EventKind.REMOVED,
        EventKind.REMOVE_FAILED,
        EventKind.ROSTER,
        EventKind.HOLD_FAILED,
        EventKind.TONE,
    )
)
"""The callback events that have rows in the table; others are not put into the inbox."""


def kind_of(event: CallEvent, command: AnyCommand | None) -> EventKind | None:
    """Return the event's name in the table, `None` if the machine ignores it.

    `command`: the command that produced the event, if any.
    """
    match event:
        case Routed(queued=True):
            return EventKind.QUEUED
        case Routed(decision=decision):
            return _BY_TYPE[type(decision)]
        case Act(action=name):
            return _BY_NAME.get(f"action {name}")
        case Due(timer=timer):
            return _BY_NAME.get(f"{timer} deadline")
        case AcsEvent(type=name):
            return _BY_NAME[name] if name in KNOWN_CALLBACKS else None
        case CommandDone() if isinstance(command, AcsCommand | FindRelay):
            return _BY_NAME.get(f"{type(command).__name__} done")
        case CommandFailed(gone=gone) if isinstance(command, AcsCommand):
            return _BY_NAME.get(f"{type(command).__name__}{': call gone' if gone else ' refused'}")
        case CommandDone() | CommandFailed():
            return None
    return _BY_TYPE[type(event)]
