"""How far the caller's audio has been passed on, for a relay that may have to go on from there."""

from __future__ import annotations

from collections import deque
from typing import Final

PREROLL_FRAMES: Final = 25
"""500 ms: speech begins before the service notices it."""


class UplinkCursor:
    """While the caller waits for an answer it stays where they began to speak: with its session a service forgets what
    it has not answered.
    """

    def __init__(self, begin: str) -> None:
        self._newest = begin
        self._recent: deque[str] = deque(maxlen=PREROLL_FRAMES)
        self._held = ""

    def passed(self, entry_id: str, *, caller_waits: bool) -> None:
        """The entry's audio was given to the voice session."""
        self._newest = entry_id
        self._recent.append(entry_id)
        if not caller_waits:
            self._held = ""
        elif not self._held:
            self._held = self._recent[0]

    @property
    def text(self) -> str:
        """The last entry that need not be read again."""
        return self._held or self._newest
