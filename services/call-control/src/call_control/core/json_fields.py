"""Reading fields out of decoded JSON whose sender is not trusted; every complaint names the field's path.

What senders of events spell in unexpected ways is read as well as possible (`plain_text`, `number`, `part`): an event
is refused only when it is useless without the field (`text`, `child`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar, cast

from bridge_common.errors import InputError

T = TypeVar("T")
JsonObject: TypeAlias = Mapping[str, object]

MAX_EVENTS: Final = 5000
"""Events in one request: what Event Grid batches at most. ACS sends a handful."""
MAX_ID_LENGTH: Final = 256
_LONGEST_INTEGER: Final = 18
"""Digits; more would not fit into the 64 bit of an inbox entry."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A type that the same sender also sends and that we have no use for."""

    type: str


@dataclass(frozen=True, slots=True)
class BadEvent:
    """An event that cannot be used; those beside it can."""

    reason: str


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON object and where it stood, e.g. `[0].data`."""

    path: str
    values: JsonObject

    def text(self, name: str, *, limit: int = 4096) -> str:
        """A field that must be there and not be empty."""
        found = self.values.get(name)
        if not isinstance(found, str) or not found:
            raise InputError(f"{self._at(name)}: a text is needed, this is {_named(found)}")
        if len(found) > limit:
            raise InputError(f"{self._at(name)}: longer than {limit} characters")
        try:
            found.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{self._at(name)}: half a surrogate pair is no text") from error
        return found

    def plain_text(self, name: str, *, limit: int = 4096) -> str:
        """Cut at `limit`; a number as its text; empty when the field is absent or neither text nor number."""
        return as_text(self.values.get(name))[:limit]

    def identifier(self, name: str) -> str:
        """As `plain_text`, but an overlong one is replaced by its digest: two of them must not become the same."""
        found = as_text(self.values.get(name))
        return found if len(found) <= MAX_ID_LENGTH else hashlib.sha256(found.encode()).hexdigest()

    def number(self, name: str) -> int:
        """A whole number, also as a text or a float; 0 when the field is absent or no number."""
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
            raise InputError(f"{self._at(name)}: an object is needed, this is {_named(found)}")
        return Node(self._at(name), cast(JsonObject, found))

    def part(self, name: str) -> Node:
        """An empty node where the field is absent or no object."""
        found = self.values.get(name)
        return Node(self._at(name), cast(JsonObject, found) if isinstance(found, dict) else {})

    def digest(self) -> str:
        """The same for the same content."""
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
        raise InputError("the body is not JSON in UTF-8") from error
    if isinstance(decoded, dict):
        return [_decode_one("", decoded, decode)]
    if not isinstance(decoded, list) or not decoded:
        raise InputError("the body is neither an event nor an array of events")
    if len(decoded) > MAX_EVENTS:
        raise InputError(f"more than {MAX_EVENTS} events in one request")
    return [_decode_one(f"[{index}]", item, decode) for index, item in enumerate(decoded)]


def as_text(value: object) -> str:
    """A text that can be stored: half a surrogate pair becomes `?`. A number as its text, everything else empty."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _decode_one(path: str, item: object, decode: Callable[[Node], T]) -> T | BadEvent:
    if not isinstance(item, dict):
        return BadEvent(f"{path}: an event is an object, this is {_named(item)}")
    try:
        return decode(Node(path, cast(JsonObject, item)))
    except InputError as error:
        return BadEvent(error.message)
    except RecursionError:
        return BadEvent(f"{path or 'the event'}: nested too deeply")


def _whole_number(digits: str) -> int | float:
    """Python converts no integer of more than 4300 digits: such a one must not cost the whole body."""
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _named(value: object) -> str:
    if value is None:
        return "missing"
    if value == "":
        return "empty"
    return {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "an array"}.get(
        type(value), "an object"
    )
