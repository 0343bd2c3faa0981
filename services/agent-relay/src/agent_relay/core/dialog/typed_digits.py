"""Digits that the caller typed for a tool. They are only in memory, and never in a text about the object."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

MASK: Final = "****"
_BETWEEN: Final = r"[\s.-]{0,3}"
"""Characters between groups of digits, as in a formatted card number."""
_LONG: Final = 6
"""So many digits are also masked within a longer number. Shorter ones would mask unrelated numbers."""


@dataclass(frozen=True, slots=True)
class TypedDigits:
    argument: str
    """Name of the tool's argument."""
    digits: str = field(repr=False)

    def redacted(self, text: str) -> str:
        """Return the text with `MASK` in place of the digits, also if they are written in groups."""
        pattern = _BETWEEN.join(self.digits)
        if len(self.digits) < _LONG:
            pattern = rf"(?<!\d){pattern}(?!\d)"
        return re.sub(pattern, MASK, text)
