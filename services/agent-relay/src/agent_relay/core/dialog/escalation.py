"""The step that follows when owed speech was not heard.

Each missed limit and each failure moves a debt one step, never back:

    FIRST ──► AGAIN ──► FALLBACK ──► GIVEN_UP
    (asked)   (once)    (its text)   (human agents, or the recorded apology)

If the model is over its quota, the request is repeated on the same session after the time that the error states. This
does not count as a step.
"""

from __future__ import annotations

from typing import Final

from agent_relay.core.dialog.debt import Debt, DebtStep, Limits, Missed, State

MOST_FALLBACKS: Final = 3
"""After this many consecutive fallbacks without an answer the call is given up."""
MOST_NOISES: Final = 3
"""Requests for one debt that a noise may cancel."""
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 10.0
"""If a quota error states no time, the wait doubles from the first to the longest."""
NOISE: Final = "a noise interrupted it"
_NEXT: Final = {DebtStep.FIRST: DebtStep.AGAIN, DebtStep.AGAIN: DebtStep.FALLBACK, DebtStep.FALLBACK: DebtStep.GIVEN_UP}


class Escalation:
    """Moves a debt to its next step. The caller of these methods drops a debt that is given up."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._fallbacks = 0

    def paid(self, debt: Debt) -> None:
        self._fallbacks = self._fallbacks + 1 if debt.step is DebtStep.FALLBACK else 0

    def next_step(self, debt: Debt, why: str, now: float, *, stuck: bool = False) -> Missed:
        step = _NEXT[debt.step]
        if step is DebtStep.FALLBACK and self._fallbacks >= MOST_FALLBACKS:
            step = DebtStep.GIVEN_UP
        move = stuck and not debt.moved and not debt.waits and step is not DebtStep.GIVEN_UP
        missed = Missed(debt.kind, step, why, stuck, move)
        debt.reopen(step, now)
        debt.moved = debt.moved or move
        return missed

    def over_quota(self, debt: Debt, why: str, wait_s: float, now: float) -> Missed:
        """`wait_s`: until the model accepts requests again, 0 if unknown."""
        wait_s = wait_s or min(FIRST_WAIT_S * 2**debt.waits, LONGEST_WAIT_S)
        debt.waits += 1
        if debt.step is not DebtStep.FALLBACK and now + wait_s <= debt.opened_at + self._limits.patience_s:
            debt.state, debt.since, debt.retry_at = State.PUT_OFF, now, now + wait_s
            debt.response_id = ""
            return Missed(debt.kind, debt.step, why, wait_s=wait_s)
        if debt.step is DebtStep.FIRST:
            debt.step = DebtStep.AGAIN  # a repeated request would fail the same way
        return self.next_step(debt, why, now)

    def after_noise(self, debt: Debt, now: float) -> Missed:
        """A noise canceled the response: request it again, but not without end on a noisy line."""
        debt.noises += 1
        if debt.noises > MOST_NOISES or now > debt.opened_at + self._limits.patience_s:
            if debt.step is DebtStep.FIRST:
                debt.step = DebtStep.AGAIN
            return self.next_step(debt, "noises keep interrupting it", now)
        debt.reopen(debt.step, now)
        return Missed(debt.kind, debt.step, NOISE, resumes=True)
