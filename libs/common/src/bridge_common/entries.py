"""Everything that flows through Redis: one closed set of entries and their codec.

An entry is stored under one field, `e`, as a msgpack array: a kind number and the fields in order. Kind numbers are
never reused. A reader skips kinds it does not know (`decode` returns None), so that a newer writer can live beside an
older reader; fields may only be added at the end, with a default.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Final, Literal, TypeAlias

import msgpack

from bridge_common.errors import EntryError

FIELD: Final = b"e"


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


@dataclass(frozen=True, slots=True)
class Bell:
    """Where who reads the other stream of the call wants to be told that something was written: the key of a stream."""

    key: str


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


UplinkEntry: TypeAlias = (
    Opened | Ended | Stamp | Bell | AudioFrame | Dtmf | Playing | Played | MediaAttached | MediaDetached
)
DownlinkEntry: TypeAlias = Opened | Ended | Stamp | Bell | Audio | ItemEnd | Clear | Hold
InboxEntry: TypeAlias = (
    IncomingCall | Callback | VoiceReady | VoiceLost | MediaLost | MediaOpen | HangUp | Due | Restored
)
TranscriptEntry: TypeAlias = Turn | Notice | Saying
Entry: TypeAlias = UplinkEntry | DownlinkEntry | InboxEntry | TranscriptEntry | Say

_KINDS: Final[dict[int, type[Entry]]] = {
    0: Opened,
    1: Ended,
    2: Stamp,
    10: AudioFrame,
    11: Dtmf,
    12: Playing,
    13: Played,
    14: MediaAttached,
    15: MediaDetached,
    16: Bell,
    20: Audio,
    21: ItemEnd,
    22: Clear,
    23: Hold,
    30: IncomingCall,
    31: Callback,
    32: VoiceReady,
    33: VoiceLost,
    34: MediaLost,
    35: MediaOpen,
    36: HangUp,
    37: Due,
    38: Restored,
    50: Turn,
    51: Notice,
    52: Saying,
    60: Say,
}
_NUMBERS: Final = {cls: number for number, cls in _KINDS.items()}
_TYPES: Final = {"bytes": bytes, "str": str, "int": int, "bool": bool}
_FIELDS: Final = {cls: tuple((f.name, _TYPES[str(f.type)]) for f in fields(cls)) for cls in _KINDS.values()}
_REQUIRED: Final = {cls: sum(f.default is MISSING for f in fields(cls)) for cls in _KINDS.values()}


_FRAME_START: Final = b"\x92\x0a\xc5"
"""How msgpack begins an array of the kind number 10 and up to 65,535 bytes. Their length and they themselves follow."""
_FRAME_HEAD: Final = len(_FRAME_START) + 2
_LEAST_OF_LENGTH_16: Final = 256
_MOST_OF_LENGTH_16: Final = 65_535


def encode(entry: Entry) -> bytes:
    """Half a surrogate pair, which JSON can carry into a text, becomes `?`: it must not cost the whole turn.

    Raises `EntryError` for a number beyond 64 bit.
    """
    if type(entry) is AudioFrame:
        # Nearly all entries are frames. This is what the packer would make of one, in a fourth of the time.
        pcm = entry.pcm24k
        if _LEAST_OF_LENGTH_16 <= len(pcm) <= _MOST_OF_LENGTH_16:
            return _FRAME_START + len(pcm).to_bytes(2, "big") + pcm
    cls = type(entry)
    values = [_NUMBERS[cls], *(getattr(entry, name) for name, _ in _FIELDS[cls])]
    try:
        packed: bytes = msgpack.packb(values, unicode_errors="replace")
    except OverflowError as error:
        raise EntryError(f"a number in {cls.__name__} is beyond 64 bit") from error
    return packed


def decode(data: bytes) -> Entry | None:
    """The entry in `data`, or None for a kind of a newer version.

    Raises `EntryError` when `data` is not an entry at all or its fields have the wrong types.
    """
    if data.startswith(_FRAME_START) and int.from_bytes(data[3:5], "big") == len(data) - _FRAME_HEAD:
        return AudioFrame(data[_FRAME_HEAD:])
    try:
        parts = msgpack.unpackb(data)
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise EntryError("an entry is a msgpack array") from error
    if not isinstance(parts, list) or not parts or type(parts[0]) is not int:
        raise EntryError("an entry starts with its kind number")
    cls = _KINDS.get(parts[0])
    if cls is None:
        return None
    expected = _FIELDS[cls]
    values = parts[1 : 1 + len(expected)]
    if len(values) < _REQUIRED[cls]:
        raise EntryError(f"{cls.__name__} has {_REQUIRED[cls]} fields or more, this one {len(values)}")
    for value, (name, type_) in zip(values, expected, strict=False):
        if type(value) is not type_:
            raise EntryError(f"{cls.__name__}.{name} is {type_.__name__}, not {type(value).__name__}")
    return cls(*values)


Direction: TypeAlias = Literal["uplink", "downlink"]
