"""The hold policy of a call: when the caller can hear the agent (the line is open), and when they hear the hold
tone.
"""

from __future__ import annotations

from typing import Final

from agent_relay.core.dialog.debt import Debt

PATIENCE_S: Final = 3.0
"""The hold tone begins after this time without agent audio while the agent should be speaking."""
_AT_ONCE: Final = float("-inf")
AUDIO_WAIT_S: Final = 0.5
"""The line counts as open this long after the media socket attached, even without audio."""


class HoldPolicy:
    """Decides when the line is open and when the hold tone plays.

    `greeting_delay_s`: delay from the media socket until the line counts as open; None: it opens with the first caller
    audio. `hold_after_s`: the hold tone begins after this time without a voice session.

    `due_at`: when the tone is due because the caller waits for the agent's audio, None while the caller does not wait.
    """

    def __init__(
        self, greeting_delay_s: float | None, hold_after_s: float, *, media_attached: bool, maybe_holding: bool
    ) -> None:
        self._delay_s = greeting_delay_s
        self._hold_after_s = hold_after_s
        self._attached_at: float | None = 0.0 if media_attached else None
        self._audio_seen = False
        self._lost_at: float | None = None
        self._holding: bool | None = None if maybe_holding else False
        """Whether the hold tone plays; None if unknown."""
        self._holds_for = 0.0
        """The deadline that started the hold tone."""
        self._transfer: bool | None = None
        self._transfer_at = 0.0
        self._waited_for: Debt | None = None
        """The pending response for which the caller was asked to wait."""

    def attached(self, now: float) -> None:
        if self._attached_at is None:
            self._attached_at = now
        if self._holding:
            # The socket may be on another gateway, which did not receive the hold command.
            self._holding = None

    def audio(self, now: float) -> None:
        self._audio_seen = True
        if self._attached_at is None:
            self._attached_at = now

    @property
    def opens_at(self) -> float | None:
        if self._attached_at is None:
            return None
        if self._delay_s is not None:
            return self._attached_at + self._delay_s
        return self._attached_at if self._audio_seen else self._attached_at + AUDIO_WAIT_S

    def session_lost(self, now: float) -> None:
        if self._lost_at is None:
            self._lost_at = now

    def transfers(self, waits: bool | None, now: float) -> None:
        """Set the state of a transfer, which overrides that of the voice session. True: the caller waits for a person
        and hears the tone; False: people talk, without a tone; None: the caller talks with the agent.
        """
        if waits is not self._transfer:
            self._transfer, self._transfer_at = waits, now

    def session_back(self) -> bool:
        """Handle that a voice session is ready again. Return whether the hold tone must end."""
        self._lost_at = None
        if self._transfer:
            return False
        held, self._holding = self._holding is not False, False
        return held

    def hold_at(self, due_at: float | None) -> float | None:
        """Return when `hold` is due next; None if no change is expected."""
        if self._attached_at is None:
            return None
        wanted_at = self._wanted_at(due_at)
        if not self._holding:
            return _AT_ONCE if self._may_hold_on else wanted_at
        return None if wanted_at is not None and wanted_at <= self._holds_for else _AT_ONCE

    def hold(self, due_at: float | None, now: float) -> bool | None:
        """Return True if the hold tone must begin, False if it must end, None for no change."""
        if self._attached_at is None:
            return None
        wanted_at = self._wanted_at(due_at)
        if wanted_at is not None and now >= wanted_at:
            begins, self._holding, self._holds_for = not self._holding, True, wanted_at
            return True if begins else None
        if not self._holding and not self._may_hold_on:
            return None
        self._holding = False
        return False

    def asks_to_wait(self, debt: Debt | None, *, quiet: bool) -> bool:
        """Return whether a spoken phrase precedes the hold tone: once for each pending response, and only while the
        agent is `quiet`.
        """
        before, self._waited_for = self._waited_for, debt
        return quiet and (debt is None or debt is not before)

    @property
    def _may_hold_on(self) -> bool:
        """Whether people may hear a tone in their conversation that the previous relay has left on."""
        return self._holding is None and self._transfer is False

    def _wanted_at(self, due_at: float | None) -> float | None:
        if self._transfer is not None:
            return self._transfer_at if self._transfer else None
        lost_at = None if self._lost_at is None else self._lost_at + self._hold_after_s
        return min((at for at in (lost_at, due_at) if at is not None), default=None)
