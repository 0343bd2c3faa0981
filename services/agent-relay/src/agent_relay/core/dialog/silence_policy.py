"""Decides what happens when the caller says nothing: the relay asks whether they are still there, then says goodbye and
hangs up.

Silence counts from the moment when neither side speaks or is about to speak. It never includes the playout of the
agent's speech, or the time in which the agent works on an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SilenceStep(StrEnum):
    REPROMPT = "reprompt"
    GOODBYE = "goodbye"


@dataclass(frozen=True, slots=True)
class SilenceLimits:
    after_s: float
    """Seconds of silence before each step."""
    reprompts: int = 2
    """Number of reprompts before the goodbye."""


class SilencePolicy:
    """The silence policy of one call. If `limits` is None, silence has no consequences."""

    def __init__(self, limits: SilenceLimits | None) -> None:
        self._limits = limits
        self._since: float | None = None
        self._reprompts = 0
        self._over = False

    def sign_of_life(self) -> None:
        """Restart, because the caller has spoken or pressed a key, or gets the answer of a function."""
        self._since = None
        self._reprompts = 0
        self._over = False

    def next_at(self) -> float | None:
        if self._limits is None or self._since is None or self._over:
            return None
        return self._since + self._limits.after_s

    def advance(self, now: float, *, quiet: bool) -> SilenceStep | None:
        """Return the step that is due, None if there is none. Call it after every event and at `next_at`. `quiet`:
        nobody speaks or is about to speak.
        """
        if not quiet:
            self._since = None
            return None
        if self._since is None:
            self._since = now
        due = self.next_at()
        if self._limits is None or due is None or now < due:
            return None
        self._since = now
        if self._reprompts < self._limits.reprompts:
            self._reprompts += 1
            return SilenceStep.REPROMPT
        self._over = True
        return SilenceStep.GOODBYE
