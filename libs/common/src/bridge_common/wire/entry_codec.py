"""How entries are stored.

An entry is stored under one field, `e`, as a msgpack array: a kind number and the fields in order (`entries`). A reader
skips kinds it does not know (`decode` returns None), so that a newer writer can live beside an older reader; fields may
only be added at the end, with a default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, get_args

import msgspec

from bridge_common.base.errors import EntryError
from bridge_common.wire.entries import Entry

FIELD: Final = b"e"

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final[Callable[[bytes | memoryview], Entry]] = msgspec.msgpack.Decoder(Entry).decode
_DECODE_ANY: Final = msgspec.msgpack.Decoder().decode
_KINDS: Final = frozenset(cls.__struct_config__.tag for cls in get_args(Entry))


def encode(entry: Entry) -> bytes:
    """Half a surrogate pair, which JSON can carry into a text, becomes `?`: it must not cost the whole turn.

    Raises `EntryError` for a number beyond 64 bit.
    """
    try:
        return _ENCODE(entry)
    except UnicodeEncodeError:
        return _ENCODE(_readable(entry))
    except OverflowError as error:
        raise EntryError(f"a number in {type(entry).__name__} is beyond 64 bit") from error


def decode(data: bytes | memoryview) -> Entry | None:
    """The entry in `data`, or None for a kind of a newer version.

    Raises `EntryError` when `data` is not an entry at all or its fields have the wrong types.
    """
    try:
        return _DECODE(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        if _is_newer(data):
            return None
        raise EntryError(f"this is no entry: {error}") from error


def _is_newer(data: bytes | memoryview) -> bool:
    """Whether it is an entry of a kind that is not known here."""
    try:
        parts = _DECODE_ANY(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return isinstance(parts, list) and bool(parts) and type(parts[0]) is int and parts[0] not in _KINDS


def _readable(entry: Entry) -> Entry:
    texts = {
        name: value.encode(errors="replace").decode()
        for name, value in msgspec.structs.asdict(entry).items()
        if isinstance(value, str)
    }
    return msgspec.structs.replace(entry, **texts)
