"""Everything that flows through Redis: one closed set of entries. How they are stored: entry_codec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


# -- both directions of a call ------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Opened:
    """The first entry of a stream: it exists from here on."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last entry: the call is over. Written under the final epoch, so nothing can follow it.

    `apologize`: the gateway tells the caller that we are sorry, and then call-control that it may hang up.
    """

    reason: str
    apologize: bool = False


@dataclass(frozen=True, slots=True)
class Stamp:
    """Says when it was written: the reader learns how long entries are under way. One a second, between audio."""

    at_us: int
    """Unix time in µs, of the writer's clock."""


# -- uplink: caller → AI ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class AudioFrame:
    """20 ms of the caller, 24 kHz PCM."""

    pcm24k: bytes


@dataclass(frozen=True, slots=True)
class Dtmf:
    tone: str


@dataclass(frozen=True, slots=True)
class Playing:
    """The first audio of an item has just left for the caller."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Played:
    """So much of an item was heard. `complete`: all of it; otherwise it was cleared after `heard_ms`."""

    item_id: str
    heard_ms: int
    complete: bool


@dataclass(frozen=True, slots=True)
class MediaAttached:
    """A media socket is there and its audio begins; `rate_hz` is the rate ACS announced."""

    rate_hz: int


@dataclass(frozen=True, slots=True)
class MediaDetached:
    reason: str


# -- downlink: AI → caller ----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Audio:
    """A piece of an item as Voice Live sent it, 24 kHz PCM of any length."""

    item_id: str
    pcm24k: bytes


@dataclass(frozen=True, slots=True)
class ItemEnd:
    """No more audio of this item will come."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop all audio not yet played, and whatever still comes of `item_id`."""

    item_id: str
    at_us: int = 0
    """Unix time in µs when the caller was heard to speak, 0 when that is not the reason, or nobody told."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Play the hold tone while the voice session is being won back, or stop it."""

    on: bool


# -- inbox: what call-control has to act on -------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class IncomingCall:
    call_id: str
    event_id: str
    caller: str
    """Raw id, e.g. `4:+14255550100`."""
    callee: str
    incoming_call_context: str
    correlation_id: str
    server_call_id: str
    received_ms: int
    """Unix time in ms at the webhook."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A mid-call event of ACS. `data` is the CloudEvent's data as JSON text."""

    call_id: str
    event_id: str
    type: str
    data: str


@dataclass(frozen=True, slots=True)
class VoiceReady:
    """A relay holds a voice session for the call."""

    call_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class VoiceLost:
    """The relay has spent its budget: there is no voice session and there will be none."""

    call_id: str
    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class MediaLost:
    """The gateway's media socket of the call closed; `close_code` as seen by the gateway, 1006 for an abrupt end."""

    call_id: str
    epoch: int
    close_code: int


@dataclass(frozen=True, slots=True)
class MediaOpen:
    """A gateway has the call's media socket."""

    call_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class HangUp:
    call_id: str
    by: str
    """`operator`, `agent`, …"""
    reason: str


@dataclass(frozen=True, slots=True)
class Restored:
    """Redis had lost the call, and its relay has written the record again from memory: timers are to be set again."""

    call_id: str


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline of the call has passed. `seq` tells a timer from an older one of the same name."""

    call_id: str
    timer: str
    seq: int


# -- transcript: what people read ---------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Turn:
    """One party's say, as text. Times are Unix ms; latencies ms from the caller's speech end, -1 when not measured."""

    role: str
    """`caller` or `agent`."""
    item_id: str
    text: str
    at_ms: int
    interrupted: bool = False
    heard_ms: int = -1
    first_delta_ms: int = -1
    first_frame_ms: int = -1


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a reader of the transcript should know: greeting, reconnect, tones, a failed response."""

    what: str
    detail: str
    at_ms: int


# -- say: what somebody outside wants said in the call ---------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Say:
    """A piece of a text that may still be written while its beginning is spoken."""

    say_id: str
    at: int
    """How many characters of the text come before this piece."""
    text: str
    last: bool = False
    """The text is whole with this piece."""
    interrupt: bool = False
    """In the first piece: what the agent says now, and what waits to be said, is dropped for it."""


@dataclass(frozen=True, slots=True)
class Saying:
    """What the agent is saying, for a relay that may have to go on; a `Turn` follows when it is known what was heard.

    People are not shown it.
    """

    item_id: str
    text: str
    at_ms: int
    generated_ms: int


UplinkEntry: TypeAlias = Opened | Ended | Stamp | AudioFrame | Dtmf | Playing | Played | MediaAttached | MediaDetached
DownlinkEntry: TypeAlias = Opened | Ended | Stamp | Audio | ItemEnd | Clear | Hold
InboxEntry: TypeAlias = (
    IncomingCall | Callback | VoiceReady | VoiceLost | MediaLost | MediaOpen | HangUp | Due | Restored
)
TranscriptEntry: TypeAlias = Turn | Notice | Saying
Entry: TypeAlias = UplinkEntry | DownlinkEntry | InboxEntry | TranscriptEntry | Say

Direction: TypeAlias = Literal["uplink", "downlink"]
