"""All entries that the services exchange through Redis. `entry_codec` defines their encoding."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec


class _Stored(msgspec.Struct, frozen=True, array_like=True, tag_field="kind", gc=False):
    """Base class of the entries. `tag` is the number of the kind in the encoding. Numbers are never reused (16 was
    `Bell`).
    """


# -- both directions of a call ------------------------------------------------------------------------------------
class Opened(_Stored, frozen=True, tag=0):
    """The first entry of a stream."""


class Ended(_Stored, frozen=True, tag=1):
    """The last entry: the call has ended. Written under the final epoch, so no entry can follow.

    `apologize`: the gateway plays an apology to the caller, then notifies call-control, which hangs up.
    """

    reason: str
    apologize: bool = False


class Stamp(_Stored, frozen=True, tag=2):
    """Latency probe, once a second between audio: the reader measures the delay of entries."""

    at_us: int
    """Unix time in µs of the append, on the writer's clock."""


# -- uplink: caller → AI ------------------------------------------------------------------------------------------
class AudioFrame(_Stored, frozen=True, tag=10):
    """20 ms of the caller's audio, 24 kHz PCM."""

    pcm24k: bytes


class Dtmf(_Stored, frozen=True, tag=11):
    tone: str
    participant: str = ""
    """Raw id of the person who pressed the key; empty if ACS did not send it."""


class Playing(_Stored, frozen=True, tag=12):
    """Report that the first audio of an item was just sent to the caller."""

    item_id: str


class Played(_Stored, frozen=True, tag=13):
    """Report that playback of an item ended: it was complete, or the item was cleared after `heard_ms`."""

    item_id: str
    heard_ms: int
    complete: bool


class MediaAttached(_Stored, frozen=True, tag=14):
    """Report that a media socket is open and its audio starts. `rate_hz`: the sample rate that ACS announced."""

    rate_hz: int


class MediaDetached(_Stored, frozen=True, tag=15):
    reason: str


# -- downlink: AI → caller ----------------------------------------------------------------------------------------
class Audio(_Stored, frozen=True, tag=20):
    """Part of an item as Voice Live sent it, 24 kHz PCM of any length."""

    item_id: str
    pcm24k: bytes


class ItemEnd(_Stored, frozen=True, tag=21):
    """End of the audio of an item."""

    item_id: str


class Clear(_Stored, frozen=True, tag=22):
    """Request to drop all audio not yet played, and all further audio of `item_id`."""

    item_id: str
    at_us: int = 0
    """Unix time in µs at which the caller started to speak; 0 if that is not the reason or the time is unknown."""


class Hold(_Stored, frozen=True, tag=23):
    """Request to start or stop the hold tone, played while the voice session is being restored or the agent works."""

    on: bool
    phrase: bool = False
    """Before the tone, play the recorded phrase that asks the caller to wait."""


class Listen(_Stored, frozen=True, tag=24):
    """Request of the relay: whose audio is written to the uplink from now on (ADR 44).

    A socket without such an entry writes the caller's audio. The relay repeats it for each new media socket.
    """

    to: str
    """`caller`; `all`: the audio of all participants, added in slots of 20 ms; `others`: the same without the caller.
    Mixed audio (`ACS_AUDIO_CHANNELS`) always contains all of them.
    """
    bridged: bool = False
    """Whether people in the call talk with each other: the gateway then plays no hold tone if no relay handles the
    call.
    """


# -- inbox: events for call-control ---------------------------------------------------------------------------------
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
    """Unix time in ms at which the webhook received the event."""
    display_name: str = ""
    custom_context: str = ""
    on_behalf_of: str = ""
    """See this field and the two before it in `CallRecord`."""
    rang_ms: int = 0
    """Unix time in ms of the event, on its sender's clock; 0 if unknown."""


class Callback(_Stored, frozen=True, tag=31):
    """A mid-call event of ACS. `data` is the CloudEvent's data as JSON text."""

    call_id: str
    event_id: str
    type: str
    data: str


class VoiceReady(_Stored, frozen=True, tag=32):
    """Report that a relay has a voice session for the call."""

    call_id: str
    epoch: int


class VoiceLost(_Stored, frozen=True, tag=33):
    """Report that the relay has spent its retry budget and has no voice session."""

    call_id: str
    epoch: int
    reason: str


class MediaLost(_Stored, frozen=True, tag=34):
    """Report that the call's media socket closed. `close_code`: as seen by the gateway, 1006 without a close frame."""

    call_id: str
    epoch: int
    close_code: int


class MediaOpen(_Stored, frozen=True, tag=35):
    """Report that a gateway has the call's media socket."""

    call_id: str
    epoch: int


class UplinkMissed(_Stored, frozen=True, tag=39):
    """Report that the relay has read no uplink entry for a second: the media socket and its gateway may have failed.

    `epoch`: of the newest media socket known to the relay. Repeated while the uplink is silent; the relay sends
    `MediaOpen` to withdraw it.
    """

    call_id: str
    epoch: int


class HangUp(_Stored, frozen=True, tag=36):
    call_id: str
    by: str
    """`operator`, `agent`, …"""
    reason: str


class Restored(_Stored, frozen=True, tag=38):
    """Report that the relay has restored the record of a lost call: call-control then sets its timers again."""

    call_id: str


class Due(_Stored, frozen=True, tag=37):
    """Notification that a deadline of the call has passed. `seq` distinguishes timers of the same name."""

    call_id: str
    timer: str
    seq: int


class Act(_Stored, frozen=True, tag=40):
    """A request for an action in the call (ADR 37). A repetition with the same `action_id` changes nothing."""

    call_id: str
    action_id: str
    action: str
    """As in `action_kinds`. An unknown action fails."""
    arguments: str
    """JSON object as text; its fields depend on `action`."""
    by: str
    """`operator`, `agent`, `silence_policy`, `caller`, …"""


class GoodbyeOver(_Stored, frozen=True, tag=41):
    """The relay reports whether the words before a hang-up or a transfer were heard."""

    call_id: str
    action_id: str
    outcome: str
    """`heard`; `interrupted` by the caller; `failed`: they were not spoken in time."""


class ScreeningOver(_Stored, frozen=True, tag=42):
    """Report whether the person who answered an attended transfer takes the call (ADR 44)."""

    call_id: str
    action_id: str
    outcome: str
    """`confirmed` (also if the profile asks for no confirmation) or `unconfirmed`: no key or word within the time, as
    with a voicemail.
    """


# -- transcript ---------------------------------------------------------------------------------------------------
class Turn(_Stored, frozen=True, tag=50):
    """One party's turn as text. Times are Unix ms; latencies are ms since the caller stopped speaking, -1: unknown."""

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
    """An event in the transcript: greeting, reconnect, tones, a failed response."""

    what: str
    detail: str
    at_ms: int


# -- announcements requested through the API (`/say`) ----------------------------------------------------------------
class Say(_Stored, frozen=True, tag=60):
    """A piece of an announcement. Speaking starts before the last piece has arrived."""

    say_id: str
    at: int
    """Offset of this piece in the text, in characters."""
    text: str
    last: bool = False
    """This piece completes the text."""
    interrupt: bool = False
    """In the first piece: interrupt the agent and drop the pending announcements."""


class Instruct(_Stored, frozen=True, tag=61):
    """An instruction of call-control to the call's relay, or information for the agent (ADR 37), in the announcement
    stream.

    The stream may contain it twice; a repetition with the same `instruction_id` and `what` changes nothing.
    """

    instruction_id: str
    what: str
    """An `Instruction`; a relay ignores names that it does not know."""
    detail: str = ""
    """JSON object as text, with the fields that `Instruction` names."""


class Saying(_Stored, frozen=True, tag=52):
    """Text that the agent is speaking, for a relay that takes over the call. Not shown to users.

    A `Turn` follows when the part that the caller heard is known.
    """

    item_id: str
    text: str
    at_ms: int
    generated_ms: int


UplinkEntry: TypeAlias = Opened | Ended | Stamp | AudioFrame | Dtmf | Playing | Played | MediaAttached | MediaDetached
DownlinkEntry: TypeAlias = Opened | Ended | Stamp | Audio | ItemEnd | Clear | Hold | Listen
InboxEntry: TypeAlias = (
    IncomingCall
    | Callback
    | VoiceReady
    | VoiceLost
    | MediaLost
    | MediaOpen
    | UplinkMissed
    | HangUp
    | Due
    | Restored
    | Act
    | GoodbyeOver
    | ScreeningOver
)
TranscriptEntry: TypeAlias = Turn | Notice | Saying
Entry: TypeAlias = UplinkEntry | DownlinkEntry | InboxEntry | TranscriptEntry | Say | Instruct

Direction: TypeAlias = Literal["uplink", "downlink"]
