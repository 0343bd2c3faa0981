"""How entries are stored.

An entry is stored under one field, `e`, as a msgpack array: a kind number and the fields in order. Kind numbers are
never reused (16 was `Bell`). A reader skips kinds it does not know (`decode` returns None), so that a newer writer can
live beside an older reader; fields may only be added at the end, with a default.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Final

import msgpack

from bridge_common.entries import (
    Audio,
    AudioFrame,
    Callback,
    Clear,
    Dtmf,
    Due,
    Ended,
    Entry,
    HangUp,
    Hold,
    IncomingCall,
    ItemEnd,
    MediaAttached,
    MediaDetached,
    MediaLost,
    MediaOpen,
    Notice,
    Opened,
    Played,
    Playing,
    Restored,
    Say,
    Saying,
    Stamp,
    Turn,
    VoiceLost,
    VoiceReady,
)
from bridge_common.errors import EntryError

FIELD: Final = b"e"

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


_PACK: Final = msgpack.Packer(unicode_errors="replace").pack
"""One for all: `packb` takes a quarter of a megabyte of memory for each entry, and gives it back."""
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
        packed: bytes = _PACK(values)
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
