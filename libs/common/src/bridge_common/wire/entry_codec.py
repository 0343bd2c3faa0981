"""Encoding of entries.

An entry is stored in one field, `e`, as a msgpack array: the number of its kind, then its fields in order (`entries`).
Readers skip unknown kinds (`decode` returns None), so that newer writers can run beside older readers. Fields may only
be added at the end, with a default.
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
    """Encode an entry. Lone surrogates, which JSON permits, become `?`. Raises `EntryError` for an integer of more than
    64 bits.
    """
    try:
        return _ENCODE(entry)
    except UnicodeEncodeError:
        return _ENCODE(_readable(entry))
    except OverflowError as error:
        raise EntryError(f"an integer in {type(entry).__name__} has more than 64 bits") from error


def decode(data: bytes | memoryview) -> Entry | None:
    """Decode an entry. Returns None for an unknown kind, which a newer version has written.

    Raises `EntryError` if `data` is not an entry or its fields have the wrong types.
    """
    try:
        return _DECODE(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        if _is_newer(data):
            return None
        raise EntryError(f"the data is not a valid entry: {error}") from error


def _is_newer(data: bytes | memoryview) -> bool:
    """Whether `data` is an entry of an unknown kind."""
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
