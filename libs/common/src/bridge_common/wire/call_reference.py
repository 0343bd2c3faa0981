"""References with which tools of a Foundry agent identify their call (ADR 37).

`7QK4-M2X9-RD`: 50 random bits in Crockford's base 32 (https://www.crockford.com/base32.html), which a model copies with
fewer errors than a long id. A reference alone grants no access: the platform that sends it must be authenticated too.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH: Final = 10
_READ: Final = str.maketrans("OIL", "011", "- ")
_VALID: Final = re.compile(f"[{_ALPHABET}]{{{_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class ReferredCall:
    call_id: str
    tools: tuple[str, ...]
    """Names of the tools that the call's profile allows."""
    targets: tuple[str, ...] = ()
    """Names of the targets that the profile allows; empty: all of the routing policy."""


def mint() -> str:
    return _grouped("".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)))


def normalized(given: str) -> str:
    """Return the reference in the form of `mint`, or "" if it is not valid. Models change case, hyphens and similar
    letters.
    """
    text = given.upper().translate(_READ)
    return _grouped(text) if _VALID.fullmatch(text) else ""


def spoken_form(text: str) -> tuple[str, list[int]]:
    """Return the letters and digits of a text as a reference would contain them, and the position of each in `text`.
    Spaces and punctuation do not count, because speech has neither.
    """
    places = [at for at, letter in enumerate(text) if letter.isascii() and letter.isalnum()]
    return "".join(text[at].upper().translate(_READ) for at in places), places


def digest(reference: str) -> str:
    """Return the hash that is stored instead of the reference."""
    return hashlib.sha256(reference.encode()).hexdigest()


def _grouped(text: str) -> str:
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))
