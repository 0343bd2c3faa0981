"""Reads fields of decoded JSON from untrusted senders; every error contains the field's path.

Optional fields of an unexpected type are converted or read as empty (`plain_text`, `number`, `part`). An event is
invalid only if a required field (`text`, `child`) is missing or has another type.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar, cast

from bridge_common.base.errors import InputError

T = TypeVar("T")
JsonObject: TypeAlias = Mapping[str, object]

MAX_EVENTS: Final = 5000
"""Maximum events in one request: the largest batch of Event Grid. ACS sends a few."""
MAX_ID_LENGTH: Final = 256
_KINDS: Final = {
    bool: "true or false", int: "a number", float: "a number", str: "a string", list: "an array", type(None): "null",
}  # fmt: skip
_LONGEST_INTEGER: Final = 18
"""Maximum digits of an integer: longer ones do not fit into the 64 bits of an inbox entry."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event of a type that call-control does not use."""

    type: str


@dataclass(frozen=True, slots=True)
class BadEvent:
    """An invalid event; it does not affect the others of its batch."""

    reason: str


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON object and its path, e.g. `[0].data`."""

    path: str
    values: JsonObject

    def text(self, name: str, *, limit: int = 4096) -> str:
        """Return a required, non-empty string. Raises `InputError`."""
        found = self.values.get(name)
        if not isinstance(found, str) or not found:
            raise InputError(f"{self._at(name)} {_fault(found, 'a string')}")
        if len(found) > limit:
            raise InputError(f"{self._at(name)} has more than {limit} characters")
        try:
            found.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{self._at(name)} contains a lone surrogate") from error
        return found

    def plain_text(self, name: str, *, limit: int = 4096) -> str:
        """Return the string, cut to `limit` characters, or a number as a string; empty if absent or of another type."""
        return as_text(self.values.get(name))[:limit]

    def identifier(self, name: str) -> str:
        """Return the string, or the digest of a long one, so that values remain distinct."""
        found = as_text(self.values.get(name))
        return found if len(found) <= MAX_ID_LENGTH else hashlib.sha256(found.encode()).hexdigest()

    def number(self, name: str) -> int:
        """Return an integer, also from a string or a float; 0 if the field is absent or not a number."""
        found = self.values.get(name)
        if isinstance(found, bool) or not isinstance(found, int | float | str):
            return 0
        try:
            value = float(found)
        except (ValueError, OverflowError):
            return 0
        return int(value) if math.isfinite(value) and abs(value) < 10**_LONGEST_INTEGER else 0

    def child(self, name: str) -> Node:
        found = self.values.get(name)
        if not isinstance(found, dict):
            raise InputError(f"{self._at(name)} {_fault(found, 'an object')}")
        return Node(self._at(name), cast(JsonObject, found))

    def part(self, name: str) -> Node:
        """Return the object in the field, or an empty node if there is none."""
        found = self.values.get(name)
        return Node(self._at(name), cast(JsonObject, found) if isinstance(found, dict) else {})

    def parts(self, name: str) -> list[Node]:
        """Return the objects in an array; other items are left out."""
        found = self.values.get(name)
        items = enumerate(found) if isinstance(found, list) else ()
        return [Node(f"{self._at(name)}[{at}]", cast(JsonObject, item)) for at, item in items if isinstance(item, dict)]

    def digest(self) -> str:
        """Return a digest of the JSON content; the order of the fields does not affect it."""
        return hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).hexdigest()

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def decode_each(body: bytes, decode: Callable[[Node], T]) -> list[T | BadEvent]:
    """Decode each event of a webhook body: one object, or an array of at least one.

    An invalid event does not affect the others. Raises `InputError` if the body is neither an object nor an array.
    """
    try:
        decoded: object = json.loads(body, parse_int=_whole_number)
    except (ValueError, RecursionError) as error:
        raise InputError("the body is not valid JSON in UTF-8") from error
    if isinstance(decoded, dict):
        return [_decode_one("", decoded, decode)]
    if not isinstance(decoded, list) or not decoded:
        raise InputError("the body must be an event or an array of at least one event")
    if len(decoded) > MAX_EVENTS:
        raise InputError(f"the body has {len(decoded)} events; at most {MAX_EVENTS} are allowed")
    return [_decode_one(f"[{index}]", item, decode) for index, item in enumerate(decoded)]


def as_text(value: object) -> str:
    """Return a string that can be encoded (a lone surrogate becomes `?`), a number as a string, "" for other types."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _decode_one(path: str, item: object, decode: Callable[[Node], T]) -> T | BadEvent:
    if not isinstance(item, dict):
        return BadEvent(f"{path} must be an object, got {_KINDS.get(type(item))}")
    try:
        return decode(Node(path, cast(JsonObject, item)))
    except InputError as error:
        return BadEvent(error.message)
    except RecursionError:
        return BadEvent(f"{path or 'the event'} is nested too deeply")


def _whole_number(digits: str) -> int | float:
    """Convert digits to a number, a float if there are too many: Python rejects integers of more than 4300 digits, and
    such an integer must not invalidate the whole body.
    """
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _fault(value: object, wanted: str) -> str:
    if value is None or value == "":
        return "is missing" if value is None else "is empty"
    return f"must be {wanted}, got {_KINDS.get(type(value), 'an object')}"
