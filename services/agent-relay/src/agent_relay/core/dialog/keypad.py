"""Tones that belong together: what the caller typed until `#` or a pause."""

from __future__ import annotations

PAUSE_S = 1.5
MOST_TONES = 64


class Keypad:
    def __init__(self) -> None:
        self.began_at = 0.0
        """When the first key of the latest entry was pressed."""
        self._tones = ""
        self._due_at: float | None = None

    @property
    def next_at(self) -> float | None:
        return self._due_at

    def press(self, tone: str, now: float) -> str | None:
        """The whole entry when this tone ends it."""
        if not self._tones:
            self.began_at = now
        self._tones += tone
        if tone == "#" or len(self._tones) >= MOST_TONES:
            return self._take()
        self._due_at = now + PAUSE_S
        return None

    def due(self, now: float) -> str | None:
        """The whole entry when the caller has paused long enough."""
        return self._take() if self._due_at is not None and now >= self._due_at else None

    def _take(self) -> str:
        tones, self._tones, self._due_at = self._tones, "", None
        return tones
