"""The screening of a person who has answered an attended transfer: the call is introduced, and the person confirms that
they take it, with a key or a word (ADR 44).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from agent_relay.core.dialog.closing import Closing, ClosingLimits, GoodbyeStep
from agent_relay.core.protocol.transfer_profile import Confirmation

START_S: Final = 8.0
"""The introduction counts as failed if it has not begun after this time."""
_SPOKEN: Final = (GoodbyeStep.ASK, GoodbyeStep.INTERRUPT)


class ScreeningStep(StrEnum):
    SPEAK = "speak"
    """Speak the introduction and the question."""
    ASK_AGAIN = "ask_again"
    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"


class Screening:
    """The screening of one person. `confirm`: None if they need not confirm. `speaks`: whether a text precedes it."""

    def __init__(self, action_id: str, confirm: Confirmation | None, now: float, *, speaks: bool) -> None:
        self._confirm = confirm
        self._introduction = Closing(ClosingLimits(start_s=START_S, agent_s=0.0))
        if speaks:
            self._introduction.begin(action_id, now, interruptible=False, said=False, expected=False)
        self._asked_at: float | None = None if speaks else now
        """When the introduction and the question were over."""
        self._asked_again = False
        self._accepted = False
        self._over = False

    @property
    def listens(self) -> bool:
        """Whether the agent must hear the people, because they may say the word. Before the end of the question, their
        words would interrupt it.
        """
        words = self._confirm is not None and self._confirm.words is not None
        return words and self._asked_at is not None and not self._over

    def sound(self) -> None:
        """Handle that the people begin to hear the agent."""
        self._introduction.sound()

    def key(self, tone: str) -> None:
        self._accepted |= self._confirm is not None and tone == self._confirm.key

    def words(self, text: str) -> None:
        self._accepted |= self._confirm is not None and self._confirm.accepts(text)

    def next_at(self) -> float | None:
        if self._over or self._accepted:
            return None
        if self._asked_at is None:
            return self._introduction.next_at()
        wait_s = 0.0 if self._confirm is None else self._confirm.wait_s
        return self._asked_at + (wait_s if self._asked_again else wait_s / 2)

    def advance(self, now: float, *, quiet: bool, dropped: bool = False) -> ScreeningStep | None:
        """Return the next step, each once; None if none is due. `quiet`: the people have heard everything that the
        agent said, and nothing follows. `dropped`: the service has refused to speak the introduction.
        """
        if self._over:
            return None
        if self._accepted:
            return self._end(ScreeningStep.CONFIRMED)
        step = self._introduction.advance(now, quiet=quiet, dropped=dropped)
        if step is not None and step[0] in _SPOKEN:
            return ScreeningStep.SPEAK
        if step is not None:
            self._asked_at = now
        if self._asked_at is None:
            return None
        if self._confirm is None:
            return self._end(ScreeningStep.CONFIRMED)
        if now >= self._asked_at + self._confirm.wait_s:
            return self._end(ScreeningStep.UNCONFIRMED)
        if now >= self._asked_at + self._confirm.wait_s / 2 and not self._asked_again:
            self._asked_again = True
            return ScreeningStep.ASK_AGAIN
        return None

    def _end(self, step: ScreeningStep) -> ScreeningStep:
        self._over = True
        return step
