"""SIP and VoIP headers that the network or an application sends with a call (`customContext` of IncomingCall).

The caller controls them: their number and length are limited, and they are never used as a format string, in a key or
in a log line.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Final

from call_control.core.events.json_fields import JsonObject, Node, as_text

MAX_HEADERS: Final = 32
"""Maximum headers of each kind. ACS itself forwards five custom SIP headers and User-To-User."""
MAX_NAME_LENGTH: Final = 128
MAX_VALUE_LENGTH: Final = 1024
MAX_CONTEXT_BYTES: Final = 8192
MAX_DISPLAY_NAME_LENGTH: Final = 256
_KINDS: Final = (("sip_headers", "sipHeaders"), ("voip_headers", "voipHeaders"))
_CONTROL: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTION: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Bidirectional control characters: they reorder the surrounding text on an operator's screen."""


def clean(text: str, limit: int) -> str:
    """Remove control characters, and cut the text to `limit` characters."""
    kept = text if text.isascii() and text.isprintable() else "".join(filter(_is_shown, text))
    return kept[:limit].strip()


def decode_context(event: Node, name: str = "customContext") -> str:
    """Return the JSON text `{"sip_headers": {...}, "voip_headers": {...}}`, empty if there are no headers.

    Headers beyond the limits are dropped, long names and values are cut.
    """
    context, size = event.part(name), 0
    found: dict[str, dict[str, str]] = {}
    for ours, theirs in _KINDS:
        for header, value in list(context.part(theirs).values.items())[:MAX_HEADERS]:
            header, text = clean(as_text(header), MAX_NAME_LENGTH), clean(as_text(value), MAX_VALUE_LENGTH)
            size += len(header.encode()) + len(text.encode())
            if header and size <= MAX_CONTEXT_BYTES:
                found.setdefault(ours, {})[header] = text
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")) if found else ""


def shown_context(stored: str) -> JsonObject:
    """Convert a stored result of `decode_context` to the object that the API returns."""
    found: JsonObject = json.loads(stored) if stored else {}
    return {ours: found.get(ours, {}) for ours, _ in _KINDS}


def _is_shown(character: str) -> bool:
    return character not in _DIRECTION and unicodedata.category(character) not in _CONTROL
