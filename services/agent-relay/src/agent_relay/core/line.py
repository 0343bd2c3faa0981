"""The caller's side of a conversation: whether the line is open, and whether the caller hears the hold tone."""

from __future__ import annotations

from typing import Final

HOLD_AFTER_S: Final = 0.5


class Line:
    """`greeting_delay_s`: how long after the media are there the line counts as open without any audio."""

    def __init__(self, greeting_delay_s: float, *, media_attached: bool, maybe_holding: bool) -> None:
        self._delay_s = greeting_delay_s
        self._attached_at: float | None = 0.0 if media_attached else None
        self._audio_seen = False
        self._hold_at: float | None = None
        self._holding = maybe_holding

    def attached(self, now: float) -> None:
        if self._attached_at is None:
            self._attached_at = now

    def audio(self, now: float) -> None:
        self._audio_seen = True
        self.attached(now)

    @property
    def opens_at(self) -> float | None:
        """From when on the caller hears what is said; None while nobody knows."""
        if self._attached_at is None:
            return None
        return self._attached_at if self._audio_seen else self._attached_at + self._delay_s

    def open(self, now: float) -> bool:
        return self.opens_at is not None and now >= self.opens_at

    @property
    def hold_at(self) -> float | None:
        return self._hold_at

    def session_lost(self, now: float) -> None:
        self._hold_at = now + HOLD_AFTER_S

    def hold_begins(self, now: float) -> bool:
        """True once, when the session has been away for too long to stay silent about it."""
        if self._hold_at is None or now < self._hold_at:
            return False
        self._hold_at = None
        self._holding = self._attached_at is not None
        return self._holding

    def session_back(self) -> bool:
        """Whether the hold tone has to end."""
        self._hold_at = None
        held, self._holding = self._holding, False
        return held
