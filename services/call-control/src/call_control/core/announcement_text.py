"""Decodes the text of an announcement from a request body, whole or in chunks."""

from __future__ import annotations

import json
from typing import Final, Protocol, cast

from bridge_common.base.errors import InputError, PayloadTooLargeError
from call_control.core.events.json_fields import JsonObject, Node

LONGEST_LINE: Final = 64 * 1024
"""Bytes of one line of JSON."""
_CONTROL: Final = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127], " ")
"""Control characters cannot be spoken, and the voice API may refuse them."""


class TextDecoder(Protocol):
    """Raises `InputError` that states the fault."""

    def feed(self, body: bytes, *, last: bool = False) -> str: ...


class PlainText:
    """UTF-8; chunks may split a character."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, body: bytes, *, last: bool = False) -> str:
        body = self._rest + body
        try:
            whole = len(body)
            body.decode()
        except UnicodeDecodeError as error:
            if last or error.reason != "unexpected end of data":
                raise InputError("the text is not UTF-8") from error
            whole = error.start
        self._rest = body[whole:]
        return sayable(body[:whole].decode())


class JsonLinesText:
    """One `{"text": "…"}` per line (`application/x-ndjson`)."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines = 0

    def feed(self, body: bytes, *, last: bool = False) -> str:
        *lines, self._rest = (self._rest + body).split(b"\n")
        if last:
            lines.append(self._rest)
            self._rest = b""
        if len(self._rest) > LONGEST_LINE or any(len(line) > LONGEST_LINE for line in lines):
            raise PayloadTooLargeError(f"a line has more than {LONGEST_LINE} bytes")
        return "".join([self._text(line) for line in lines])

    def _text(self, line: bytes) -> str:
        self._lines += 1
        if not line.strip():
            return ""
        text, _ = read_fields(line, f"line {self._lines}", ("text",))
        return text


def read_fields(body: bytes, path: str = "", known: tuple[str, ...] = ("text", "interrupt")) -> tuple[str, bool]:
    """`text` and `interrupt` of one JSON object. Raises `InputError`, also for an empty text."""
    where = path or "the body"
    try:
        decoded: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON in UTF-8") from error
    if not isinstance(decoded, dict):
        raise InputError(f'{where} is not an object such as {{"text": "Good morning."}}')
    values = cast(JsonObject, decoded)
    if unknown := [name for name in values if name not in known]:
        raise InputError(f"{where} has a field that is not known: {unknown[0]:.40}")
    interrupt = values.get("interrupt", False)
    if not isinstance(interrupt, bool):
        raise InputError("interrupt: true or false is needed")
    return sayable(Node(path, values).text("text", limit=len(body))), interrupt


def sayable(text: str) -> str:
    return text.translate(_CONTROL)
