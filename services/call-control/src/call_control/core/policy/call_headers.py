"""The header condition of a rule: SIP and VoIP headers of a call. The caller controls them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from bridge_common.base.errors import InputError

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'+.^_`|~-]{1,128}")
_LONGEST: Final = 256
Headers: TypeAlias = Mapping[str, Sequence[str]]
"""Values by name in lower case; a name may be both a SIP and a VoIP header."""


@dataclass(frozen=True, slots=True)
class HeaderPattern:
    """`*` matches any text, `?` any one character; upper and lower case are equal."""

    text: str

    def matches(self, value: str) -> bool:
        return fnmatchcase(value.lower(), self.text.lower().replace("[", "[[]"))

    def __str__(self) -> str:
        return self.text


def decode_header_pattern(text: str) -> HeaderPattern:
    """Raises `InputError`."""
    if not text or len(text) > _LONGEST or not text.isprintable():
        raise InputError(f"is not a pattern; write 1 to {_LONGEST} printable characters, with * and ? as wildcards")
    return HeaderPattern(text)


def decode_header_name(text: str) -> str:
    """Raises `InputError`."""
    if not _NAME.fullmatch(text):
        raise InputError("is not the name of a header")
    return text


def headers_of(custom_context: str) -> Headers:
    """`custom_context`: of `IncomingCall`."""
    found: dict[str, list[str]] = {}
    kinds: Mapping[str, Mapping[str, str]] = json.loads(custom_context) if custom_context else {}
    for headers in kinds.values():
        for name, value in headers.items():
            found.setdefault(name.lower(), []).append(value)
    return found


def has_headers(wanted: Mapping[str, Sequence[HeaderPattern]], headers: Headers) -> bool:
    """Whether the call has each of these headers with a value that one of its patterns matches."""
    return all(
        any(pattern.matches(value) for value in headers.get(name.lower(), ()) for pattern in patterns)
        for name, patterns in wanted.items()
    )
