"""Everything that flows through Redis: one closed set of entries. How they are stored: entry_codec."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec


class _Stored(msgspec.Struct, frozen=True, array_like=True, tag_field="kind", gc=False):
    """`tag` is the kind's number in what is stored. It is never used again for another kind (16 was `Bell`)."""


# -- both directions of a call ------------------------------------------------------------------------------------
class Opened(_Stored, frozen=True, tag=0):
    """The first entry of a stream: it exists from here on."""


class Ended(_Stored, frozen=True, tag=1):
    """The last entry: the call is over. Written under the final epoch, so nothing can follow it.

    `apologize`: the gateway tells the caller that we are sorry, and then call-control that it may hang up.
    """

    reason: str
    apologize: bool = False


class Stamp(_Stored, frozen=True, tag=2):
    """Says when it was written: the reader learns how long entries are under way. One a second, between audio."""

    at_us: int
    """Unix time in µs, of the writer's clock."""


# -- uplink: caller → AI ------------------------------------------------------------------------------------------
class AudioFrame(_Stored, frozen=True, tag=10):
    """20 ms of the caller, 24 kHz PCM."""

    pcm24k: bytes


class Dtmf(_Stored, frozen=True, tag=11):
    tone: str


class Playing(_Stored, frozen=True, tag=12):
    """The first audio of an item has just left for the caller."""

    item_id: str


class Played(_Stored, frozen=True, tag=13):
    """So much of an item was heard. `complete`: all of it; otherwise it was cleared after `heard_ms`."""

    item_id: str
    heard_ms: int
    complete: bool


class MediaAttached(_Stored, frozen=True, tag=14):
    """A media socket is there and its audio begins; `rate_hz` is the rate ACS announced."""

    rate_hz: int


class MediaDetached(_Stored, frozen=True, tag=15):
    reason: str


# -- downlink: AI → caller ----------------------------------------------------------------------------------------
class Audio(_Stored, frozen=True, tag=20):
    """A piece of an item as Voice Live sent it, 24 kHz PCM of any length."""

    item_id: str
    pcm24k: bytes


class ItemEnd(_Stored, frozen=True, tag=21):
    """No more audio of this item will come."""

    item_id: str


class Clear(_Stored, frozen=True, tag=22):
    """Drop all audio not yet played, and whatever still comes of `item_id`."""

    item_id: str
    at_us: int = 0
    """Unix time in µs when the caller was heard to speak, 0 when that is not the reason, or nobody told."""


class Hold(_Stored, frozen=True, tag=23):
    """Start the hold tone, while the voice session is being restored or the agent works, or stop it."""

    on: bool
    phrase: bool = False
    """Play the recorded phrase that asks the caller to wait before the tone."""


# -- inbox: what call-control has to act on -------------------------------------------------------------------------
class IncomingCall(_Stored, frozen=True, tag=30):
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
    display_name: str = ""
    custom_context: str = ""
    on_behalf_of: str = ""
    """See `CallRecord`."""
    rang_ms: int = 0
    """Unix time in ms of the event, by the clock of its sender; 0: unknown."""


class Callback(_Stored, frozen=True, tag=31):
    """A mid-call event of ACS. `data` is the CloudEvent's data as JSON text."""

    call_id: str
    event_id: str
    type: str
    data: str


class VoiceReady(_Stored, frozen=True, tag=32):
    """A relay holds a voice session for the call."""

    call_id: str
    epoch: int


class VoiceLost(_Stored, frozen=True, tag=33):
    """The relay has spent its budget: there is no voice session and there will be none."""

    call_id: str
    epoch: int
    reason: str


class MediaLost(_Stored, frozen=True, tag=34):
    """The gateway's media socket of the call closed; `close_code` as seen by the gateway, 1006 for an abrupt end."""

    call_id: str
    epoch: int
    close_code: int


class MediaOpen(_Stored, frozen=True, tag=35):
    """A gateway has the call's media socket."""

    call_id: str
    epoch: int


class UplinkMissed(_Stored, frozen=True, tag=39):
    """The call's relay has read nothing in the uplink for a second: the media socket and its gateway may be gone.

    `epoch`: of the newest media socket known to the relay. Repeated while the uplink is silent; `MediaOpen` from the
    relay withdraws it.
    """

    call_id: str
    epoch: int


class HangUp(_Stored, frozen=True, tag=36):
    call_id: str
    by: str
    """`operator`, `agent`, …"""
    reason: str


class Restored(_Stored, frozen=True, tag=38):
    """Redis had lost the call, and its relay has written the record again from memory: timers are to be set again."""

    call_id: str


class Due(_Stored, frozen=True, tag=37):
    """A deadline of the call has passed. `seq` tells a timer from an older one of the same name."""

    call_id: str
    timer: str
    seq: int


# -- transcript: what people read ---------------------------------------------------------------------------------
class Turn(_Stored, frozen=True, tag=50):
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


class Notice(_Stored, frozen=True, tag=51):
    """Something a reader of the transcript should know: greeting, reconnect, tones, a failed response."""

    what: str
    detail: str
    at_ms: int


# -- say: what somebody outside wants said in the call ---------------------------------------------------------------
class Say(_Stored, frozen=True, tag=60):
    """A piece of a text that may still be written while its beginning is spoken."""

    say_id: str
    at: int
    """How many characters of the text come before this piece."""
    text: str
    last: bool = False
    """The text is whole with this piece."""
    interrupt: bool = False
    """In the first piece: what the agent says now, and what waits to be said, is dropped for it."""


class Saying(_Stored, frozen=True, tag=52):
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
    IncomingCall | Callback | VoiceReady | VoiceLost | MediaLost | MediaOpen | UplinkMissed | HangUp | Due | Restored
)
TranscriptEntry: TypeAlias = Turn | Notice | Saying
Entry: TypeAlias = UplinkEntry | DownlinkEntry | InboxEntry | TranscriptEntry | Say

Direction: TypeAlias = Literal["uplink", "downlink"]
