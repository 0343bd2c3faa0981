"""How far the caller's audio and tones have been passed on, for a relay that may have to go on from there."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

PREROLL_FRAMES: Final = 25
"""500 ms: speech begins before the service notices it."""

KEPT_FRAMES: Final = 250
"""5 s, as much as the uplink stream keeps: the most that is kept of the caller for a session that is not ready."""


class UplinkStop(NamedTuple):
    """Where a relay stopped listening at a hand-over: the last entries (ids) that need not be processed again."""

    audio: str
    tones: str


class UplinkCursor:
    """While the caller waits for an answer it stays where they began to speak: with its session a service forgets what
    it has not answered.
    """

    def __init__(self, begin: str) -> None:
        self._newest = begin
        self._recent: deque[str] = deque(maxlen=PREROLL_FRAMES)
        self._held = ""
        self._tone = begin
        self._tone_before = begin

    def passed(self, entry_id: str, *, caller_waits: bool) -> None:
        """The entry's audio was given to the voice session."""
        self._newest = entry_id
        self._recent.append(entry_id)
        if not caller_waits:
            self._held = ""
        elif not self._held:
            self._held = self._recent[0]

    def tone(self, entry_id: str, *, typing: bool) -> None:
        """A tone was processed; `typing`: earlier ones still wait to be sent to the agent together with it."""
        if not typing:
            self._tone_before = self._tone
        self._tone = entry_id

    @property
    def text(self) -> str:
        """The last entry that need not be read again."""
        return self._held or self._newest

    @property
    def rewound(self) -> str:
        """Where a relay begins to read that is told later where this one stopped (`stop`), which may be earlier than
        `text` is now: the caller may be about to speak.
        """
        return self._held or (self._recent[0] if self._recent else self._newest)

    def stop(self, *, typing: bool) -> UplinkStop:
        """`typing`: tones wait to be sent to the agent together with those that follow."""
        return UplinkStop(self.text, self._tone_before if typing else self._tone)
