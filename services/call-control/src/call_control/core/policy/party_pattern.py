"""Which numbers or identities a rule is for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bridge_common.base.errors import InputError

ANONYMOUS: Final = "anonymous"
_WRITTEN: Final = re.compile(
    r"\*|(?:\+[0-9?]{0,250}|4:\+?[0-9A-Za-z?]{0,250}|(?:\?|8:|28:)[0-9A-Za-z+:_.?-]{0,250})\*?"
)
"""A number has nothing but digits: one with separators would fit no caller."""


@dataclass(frozen=True, slots=True)
class PartyPattern:
    """A number or raw id; `?` stands for any one character, `*` at the end for any rest, `anonymous` for no number."""

    text: str

    def matches(self, raw_id: str) -> bool:
        if self.text == ANONYMOUS:
            return is_anonymous(raw_id)
        prefix = self.text.removesuffix("*").removeprefix("4:").lower()
        party = raw_id.removeprefix("4:").lower()
        if "?" not in prefix:
            return party.startswith(prefix) if self.text.endswith("*") else party == prefix
        fits = len(party) >= len(prefix) if self.text.endswith("*") else len(party) == len(prefix)
        return fits and all(wanted in ("?", found) for wanted, found in zip(prefix, party, strict=False))

    def __str__(self) -> str:
        return self.text


def decode_pattern(text: str) -> PartyPattern:
    """Raises `InputError`. The message does not repeat what was written: it may be somebody's number."""
    text = text.strip()
    if text != ANONYMOUS and not _WRITTEN.fullmatch(text):
        raise InputError(
            "is no pattern: + and digits, a raw id (4:…, 8:…, 28:…), ? and a final * in them, or anonymous"
        )
    return PartyPattern(text)


def is_anonymous(raw_id: str) -> bool:
    """No party, or a phone that hides its number (ACS: `4:anonymous`)."""
    return not raw_id or (raw_id.startswith("4:") and not any(character.isdigit() for character in raw_id[2:]))
