"""The debt that the caller's speech suspends: restored if the speech was a noise, dropped if it has words."""

from __future__ import annotations

from agent_relay.core.dialog.debt import Debt, DebtKind


class SuspendedDebt:
    def __init__(self) -> None:
        self._debt: Debt | None = None
        self._cut = False
        self._caller_speaks = False

    @property
    def caller_speaks(self) -> bool:
        return self._caller_speaks

    def caller_began(self, debt: Debt | None) -> None:
        self._caller_speaks = True
        self._suspend(debt)

    def caller_ended(self, debt: Debt | None) -> None:
        self._caller_speaks = False
        self._suspend(debt)  # the beginning of the speech may not have been reported

    def _suspend(self, debt: Debt | None) -> None:
        """A debt for words that may be a noise as well does not replace an older one."""
        if debt is None:
            return
        unsure = debt.kind is DebtKind.WORDS and not debt.requested and not debt.response_id
        if self._debt is None or not unsure:
            self._debt = debt

    def replace(self, debt: Debt) -> None:
        """A new debt while the caller speaks covers the suspended one."""
        self._debt = debt

    def cut_off(self) -> None:
        """The speech cleared audio that was not heard to its end."""
        self._cut = True

    def heard(self, response_id: str) -> None:
        """The first audio of the response was played: it may pay the suspended debt."""
        if self._debt is not None and self._debt.response_id == response_id:
            self._debt = None

    def no_words(self, item_id: str) -> None:
        """The speech of this item was a noise, so that no answer to it is owed."""
        debt = self._debt
        if debt is not None and debt.kind is DebtKind.WORDS and debt.item_id == item_id and not debt.response_id:
            self._debt = None

    def stays_owed(self, item_id: str) -> bool:
        """Speech without a transcript may have been words, and cut off nothing that the caller would hear instead."""
        return not self._cut and (self._debt is None or self._debt.item_id == item_id)

    def take(self) -> tuple[Debt | None, bool]:
        """The suspended debt, and whether audio was cleared. Nothing stays suspended."""
        taken = self._debt, self._cut
        self.forget()
        return taken

    def forget(self) -> None:
        self._debt, self._cut = None, False

    def session_lost(self, debt: Debt | None) -> Debt | None:
        """The debt that the next voice session has to pay; `debt` is the current one."""
        if self._caller_speaks:
            debt = self._debt
        self.forget()
        self._caller_speaks = False
        return debt
