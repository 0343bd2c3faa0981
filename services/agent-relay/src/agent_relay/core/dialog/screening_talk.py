"""Speaks the texts of a screening, and reports whether the person takes the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent_relay.core.announcements.announcer import Announcer
from agent_relay.core.dialog.audience import TO_CALLER, TO_OTHERS
from agent_relay.core.dialog.conversation_commands import Command, ReportScreening, WallClock
from agent_relay.core.dialog.history import TRANSFER
from agent_relay.core.dialog.screening import Screening, ScreeningStep
from agent_relay.core.dialog.transfer_course import TransferState
from agent_relay.core.dialog.transfer_texts import introduction
from agent_relay.core.protocol.transfer_profile import TransferProfile
from bridge_common.wire.entries import Listen, Say

AGAIN_S: Final = 3.0
"""The outcome is reported again after this time, because Redis may have lost it."""
_REPORTS: Final = 15
"""Until the deadline of call-control."""


class ScreeningTalk:
    """One screening. `say` speaks a text as an announcement. `caller`: as it is spoken, "" if unknown."""

    def __init__(
        self,
        transfer: TransferState,
        profile: TransferProfile,
        caller: str,
        announcements: Announcer,
        clock: WallClock,
        say: Callable[[Say, float], list[Command]],
        now: float,
    ) -> None:
        self._transfer = transfer
        self._confirm = profile.confirm
        self._text = introduction(profile, caller, transfer.topic)
        self._announcements = announcements
        self._clock = clock
        self._say = say
        self.screening = Screening(transfer.action_id, profile.confirm, now, speaks=bool(self._text))
        self._said: list[str] = []
        self._outcome = ""
        self._report_at: float | None = None
        self._reports_left = _REPORTS

    @property
    def audience(self) -> Listen:
        words = self._confirm is not None and self._confirm.words is not None
        return TO_OTHERS if words else TO_CALLER

    def next_at(self) -> float | None:
        times = (self.screening.next_at(), self._report_at)
        return min((at for at in times if at is not None), default=None)

    def advance(self, now: float, *, still: bool) -> list[Command]:
        dropped = bool(self._said) and not self._announcements.queue.of(self._said[0])
        match self.screening.advance(now, quiet=still, dropped=dropped):
            case ScreeningStep.SPEAK:
                return self._speak("introduction", self._text, now)
            case ScreeningStep.ASK_AGAIN:
                return self._speak("confirm", "" if self._confirm is None else self._confirm.question, now)
            case ScreeningStep.CONFIRMED | ScreeningStep.UNCONFIRMED as over:
                self._outcome = over.value
                return [self._clock.notice(TRANSFER, self._transfer.notice(over), now), *self._report(now)]
        return self._report(now) if self._report_at is not None and now >= self._report_at else []

    def _report(self, now: float) -> list[Command]:
        self._reports_left -= 1
        self._report_at = now + AGAIN_S if self._reports_left else None
        return [ReportScreening(self._transfer.action_id, self._outcome)]

    def _speak(self, what: str, text: str, now: float) -> list[Command]:
        # The time distinguishes it from the text of a relay that handled the call before.
        say_id = f"{what}-{self._transfer.action_id}-{self._clock.unix_ms(now)}"
        self._said.append(say_id)
        return self._say(Say(say_id, 0, text, last=True), now)

    def stop(self, now: float) -> list[Command]:
        """Stop the texts, because the screening is over."""
        return [one for say_id in self._said for one in self._announcements.withdraw(say_id, now)]
