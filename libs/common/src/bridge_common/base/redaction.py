"""Removes phone numbers, raw ids, keys, tokens and connection strings from error texts of other services.

The texts go into logs, traces, transcripts and the API, whose readers may not be allowed to see such values. Ids that
identify a call (call ids, GUIDs), status codes, subcodes, times and addresses stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

LONGEST: Final = 500
_LONGEST_INPUT: Final = 4000
_FEWEST_DIGITS: Final = 9
"""Minimum digits of a phone number without a plus sign. Fewer digits are a code or a date."""
_ADDRESS: Final = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_SECRETS: Final = (
    "access[_-]?key|account[_-]?key|shared[_-]?access[_-]?key|shared[_-]?access[_-]?signature|instrumentation[_-]?key|"
    "api[_-]?key|subscription[_-]?key|client[_-]?secret|password|secret|access[_-]?token|signature|sig"
)


def _number(found: re.Match[str]) -> str:
    text = found.group()
    digits = sum(character.isdigit() for character in text)
    is_number = text.startswith("+") or digits >= _FEWEST_DIGITS
    return "[number]" if is_number and not _ADDRESS.fullmatch(text) else text


_RULES: Final[tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    (re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}"), "[token]"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{16,}", re.IGNORECASE), r"\1 [token]"),
    (re.compile(rf"\b({_SECRETS})\b(?:[\"']?\s*[=:]\s*[\"']?)[^\s;,&\"']+", re.IGNORECASE), r"\1=[secret]"),
    (re.compile(r"([?&](?:code|token|key)=)[^&\s\"']+", re.IGNORECASE), r"\1[secret]"),
    (re.compile(r"(/ws/call_[0-9a-f]+/)[^\s\"'?]+"), r"\1[token]"),
    (re.compile(r"(://)[^/\s@]+@"), r"\1[secret]@"),
    (re.compile(r"(?<![\w/.:-])[A-Za-z0-9+/_-]{40,}={0,2}"), "[secret]"),
    (re.compile(r"\b(?:8|28):(?:acs|orgid|dod|gcch|teamsvisitor|live|echo)[:\w.-]+", re.IGNORECASE), "[party]"),
    (re.compile(r"\b4:\+?\d+"), "[number]"),
    (re.compile(r"(?<![\w#.:-])(?:\+|\(?\d)(?:[ ().-]{0,2}\d){6,17}(?![\w:]|-\w)"), _number),
)


def redacted(text: str, longest: int = LONGEST) -> str:
    text = text[:_LONGEST_INPUT]
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text if len(text) <= longest else f"{text[:longest]}…"
