"""Parties of a call: their notation in settings and policies, and patterns that match them. ACS uses raw ids."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bridge_common.base.errors import InputError

ANONYMOUS: Final = "anonymous"
_BLANKS: Final = " \t\r\n"
"""Removed around a party. `str.strip` would also remove control characters."""
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{4,14}")
ACS_USERS: Final = ("8:acs:", "8:gcch-acs:", "8:dod-acs:")
TEAMS_USERS: Final = ("8:orgid:", "8:gcch:", "8:dod:")
TEAMS_APPS: Final = ("28:orgid:", "28:gcch:", "28:dod:")
"""Prefixes of raw ids, by cloud: public, GCC High, DoD."""
_PREFIXES: Final = "|".join((*ACS_USERS, *TEAMS_USERS, *TEAMS_APPS))
_RAW_ID: Final = re.compile(rf"4:\+[1-9][0-9]{{4,14}}|({_PREFIXES})[0-9A-Za-z_.-]{{1,200}}")
_PATTERN: Final = re.compile(
    r"\*|(?:\+[0-9?]{0,250}|4:\+?[0-9A-Za-z?]{0,250}|(?:\?|8:|28:)[0-9A-Za-z+:_.?-]{0,250})\*?"
)
"""Format of a pattern. Numbers have only digits: a pattern with separators would match no caller."""


@dataclass(frozen=True, slots=True)
class PartyPattern:
    """Pattern of a number or raw id. `?` matches one character, a final `*` any rest, `anonymous` a hidden number."""

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
    """Decode a pattern. Raises `InputError`, which does not contain the text: it may be a phone number."""
    text = text.strip(_BLANKS)
    if text != ANONYMOUS and not _PATTERN.fullmatch(text):
        raise InputError(
            "is not a pattern; write + and digits, or a raw id (4:…, 8:…, 28:…), with ? and a final * as wildcards, "
            "or anonymous"
        )
    return PartyPattern(text)


def is_anonymous(raw_id: str) -> bool:
    """Return whether the caller is unknown or hides its number (ACS: `4:anonymous`)."""
    return not raw_id or (raw_id.startswith("4:") and not any(character.isdigit() for character in raw_id[2:]))


def is_raw_id(text: str) -> bool:
    """Return whether ACS can call a party with this raw id."""
    return _RAW_ID.fullmatch(text) is not None


def is_resource_account(raw_id: str) -> bool:
    """Return whether a callee is a Teams resource account: its calls are Teams Phone calls."""
    return raw_id.startswith("28:")


def is_in_teams(raw_id: str) -> bool:
    """Return whether a party uses Teams, also in a custom client (`8:acs:<resource>_<tenant>_<user>`)."""
    dual_persona = raw_id.startswith(ACS_USERS) and raw_id.count("_") == 2
    return dual_persona or raw_id.startswith((*TEAMS_USERS, *TEAMS_APPS))


def raw_id_of(text: str) -> str:
    """Return the raw id of a number (`+18005551212`), or the given raw id (`4:+1800…`, `8:acs:…`, `8:orgid:…`,
    `28:orgid:…`). Raises `InputError` for other texts.
    """
    text = text.strip(_BLANKS)
    if _NUMBER.fullmatch(text):
        return f"4:{text}"
    if _RAW_ID.fullmatch(text):
        return text
    raise InputError(f"{text!r} is neither +<number> nor a raw id (4:+…, 8:acs:…, 8:orgid:…, 28:orgid:…)")
