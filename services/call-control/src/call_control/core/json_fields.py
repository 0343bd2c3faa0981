"""Reading fields out of decoded JSON whose sender is not trusted; every complaint names the field's path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from bridge_common.errors import InputError

JsonObject: TypeAlias = Mapping[str, object]

MAX_EVENTS: Final = 100
"""Events in one request. Event Grid sends one by default, ACS a handful."""
MAX_ID_LENGTH: Final = 256


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

    def optional_text(self, name: str, *, limit: int = 4096) -> str:
        return "" if self.values.get(name) in (None, "") else self.text(name, limit=limit)

    def optional_number(self, name: str) -> int:
        found = self.values.get(name)
        if found is None:
            return 0
        if isinstance(found, bool) or not isinstance(found, int):
            raise InputError(f"{self._at(name)}: a whole number is needed, this is {_named(found)}")
        return found

    def child(self, name: str) -> Node:
        found = self.values.get(name)
        if not isinstance(found, dict):
            raise InputError(f"{self._at(name)}: an object is needed, this is {_named(found)}")
        return Node(self._at(name), cast(JsonObject, found))

    def optional_child(self, name: str) -> Node:
        """An empty node where the field is absent."""
        return Node(self._at(name), {}) if self.values.get(name) is None else self.child(name)

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def events_of(body: bytes) -> list[Node]:
    """The objects of a webhook body: one object, or an array of at least one."""
    try:
        decoded: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError("the body is not JSON in UTF-8") from error
    if isinstance(decoded, dict):
        return [Node("", cast(JsonObject, decoded))]
    if not isinstance(decoded, list) or not decoded:
        raise InputError("the body is neither an event nor an array of events")
    if len(decoded) > MAX_EVENTS:
        raise InputError(f"more than {MAX_EVENTS} events in one request")
    nodes: list[Node] = []
    for index, item in enumerate(decoded):
        if not isinstance(item, dict):
            raise InputError(f"[{index}]: an event is an object, this is {_named(item)}")
        nodes.append(Node(f"[{index}]", cast(JsonObject, item)))
    return nodes


def _named(value: object) -> str:
    if value is None:
        return "missing"
    if value == "":
        return "empty"
    return {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "an array"}.get(
        type(value), "an object"
    )
