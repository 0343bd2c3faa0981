"""Decodes the text of an announcement from a request body, whole or in chunks."""

from __future__ import annotations

from typing import Final, Protocol, TypeVar

import msgspec

from bridge_common.base.errors import InputError, PayloadTooLargeError

LONGEST_LINE: Final = 64 * 1024
"""Limit for one line of JSON, in bytes."""
_LONGEST_REASON: Final = 200
"""Limit for an error message of msgspec, in characters: it repeats the name of an unknown field."""
_CONTROL: Final = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127], " ")
"""Control characters: they cannot be spoken, and the voice API may reject them."""


class _Piece(msgspec.Struct, forbid_unknown_fields=True):
    text: str


class AnnouncementBody(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    interrupt: bool = False


_T = TypeVar("_T", _Piece, AnnouncementBody)


class TextDecoder(Protocol):
    """Decodes the text of a request body chunk by chunk. `feed` raises `InputError` for an invalid chunk."""

    def feed(self, body: bytes, *, last: bool = False) -> str: ...


class PlainText:
    """Decodes plain text in UTF-8; chunks may split a character."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, body: bytes, *, last: bool = False) -> str:
        body = self._rest + body
        try:
            whole = len(body)
            body.decode()
        except UnicodeDecodeError as error:
            if last or error.reason != "unexpected end of data":
                raise InputError("the text is not valid UTF-8") from error
            whole = error.start
        self._rest = body[whole:]
        return sayable(body[:whole].decode())


class JsonLinesText:
    """Decodes `application/x-ndjson`: one `{"text": "…"}` per line."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines = 0

    def feed(self, body: bytes, *, last: bool = False) -> str:
        *lines, self._rest = (self._rest + body).split(b"\n")
        if last:
            lines.append(self._rest)
            self._rest = b""
        if len(self._rest) > LONGEST_LINE or any(len(line) > LONGEST_LINE for line in lines):
            raise PayloadTooLargeError(f"a line has more than {LONGEST_LINE} bytes; split it")
        return "".join([self._text(line) for line in lines])

    def _text(self, line: bytes) -> str:
        self._lines += 1
        if not line.strip():
            return ""
        return sayable(_decode(line, _Piece, f"line {self._lines}").text)


def decode_announcement(body: bytes) -> AnnouncementBody:
    """Decode the JSON body of an announcement. Raises `InputError` if it is invalid or its text is empty."""
    found = _decode(body, AnnouncementBody, "the body")
    return AnnouncementBody(sayable(found.text), found.interrupt)


def _decode(body: bytes, type_: type[_T], where: str) -> _T:
    try:
        found = msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as error:
        raise InputError(f"{where} is not valid: {str(error)[:_LONGEST_REASON]}") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InputError(f"{where} is not valid JSON in UTF-8") from error
    if not found.text:
        raise InputError(f"{where} is not valid: `text` is empty")
    return found


def sayable(text: str) -> str:
    return text.translate(_CONTROL)
