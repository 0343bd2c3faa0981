"""Reads fields of decoded JSON from untrusted senders; every error contains the field's path.

Optional fields of an unexpected type are converted or read as empty (`plain_text`, `number`, `part`). An event is
refused only if it lacks a required field (`text`, `child`).
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
"""Limit for events in one request: the largest batch of Event Grid. ACS sends a few."""
MAX_ID_LENGTH: Final = 256
_KINDS: Final = {
    bool: "true or false", int: "a number", float: "a number", str: "text", list: "an array", type(None): "null",
}  # fmt: skip
_LONGEST_INTEGER: Final = 18
"""Digits; longer integers do not fit into the 64 bits of an inbox entry."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event of a type that is not used here."""

    type: str


@dataclass(frozen=True, slots=True)
class BadEvent:
    """An event that cannot be used; it does not affect the others of its batch."""

    reason: str


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON object and its path, e.g. `[0].data`."""

    path: str
    values: JsonObject

    def text(self, name: str, *, limit: int = 4096) -> str:
        """A required, non-empty text field."""
        found = self.values.get(name)
        if not isinstance(found, str) or not found:
            raise InputError(f"{self._at(name)} {_fault(found, 'text')}")
        if len(found) > limit:
            raise InputError(f"{self._at(name)} has more than {limit} characters")
        try:
            found.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{self._at(name)} contains a lone surrogate") from error
        return found

    def plain_text(self, name: str, *, limit: int = 4096) -> str:
        """The text, cut at `limit`, or a number as text; empty if the field is absent or has another type."""
        return as_text(self.values.get(name))[:limit]

    def identifier(self, name: str) -> str:
        """Like `plain_text`, but a long value is replaced by its digest, so that values remain distinct."""
        found = as_text(self.values.get(name))
        return found if len(found) <= MAX_ID_LENGTH else hashlib.sha256(found.encode()).hexdigest()

    def number(self, name: str) -> int:
        """An integer, also from a text or a float; 0 if the field is absent or not a number."""
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
        """The object in the field, or an empty node if there is none."""
        found = self.values.get(name)
        return Node(self._at(name), cast(JsonObject, found) if isinstance(found, dict) else {})

    def digest(self) -> str:
        """Equal for equal content."""
        return hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).hexdigest()

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def decode_each(body: bytes, decode: Callable[[Node], T]) -> list[T | BadEvent]:
    """Each event of a webhook body: one object, or an array of at least one. A bad event does not affect the others.

    Raises `InputError` when the body is neither.
    """
    try:
        decoded: object = json.loads(body, parse_int=_whole_number)
    except (ValueError, RecursionError) as error:
        raise InputError("the body is not valid JSON in UTF-8") from error
    if isinstance(decoded, dict):
        return [_decode_one("", decoded, decode)]
    if not isinstance(decoded, list) or not decoded:
        raise InputError("the body is neither an event nor an array of events")
    if len(decoded) > MAX_EVENTS:
        raise InputError(f"the body has {len(decoded)} events; at most {MAX_EVENTS} are allowed")
    return [_decode_one(f"[{index}]", item, decode) for index, item in enumerate(decoded)]


def as_text(value: object) -> str:
    """Text that can be encoded (a lone surrogate becomes `?`), a number as text, "" for other types."""
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
    """Python refuses integers of more than 4300 digits; such an integer must not invalidate the whole body."""
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _fault(value: object, wanted: str) -> str:
    if value is None or value == "":
        return "is missing" if value is None else "is empty"
    return f"must be {wanted}, got {_KINDS.get(type(value), 'an object')}"
