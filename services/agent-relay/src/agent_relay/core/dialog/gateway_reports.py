"""Applies the media gateway's reports about playout and its media socket to the speech that is owed to the caller."""

from __future__ import annotations

from agent_relay.core.announcements.announcer import Announcer
from agent_relay.core.dialog.agent_speech import AgentSpeech
from agent_relay.core.dialog.conversation_commands import Command
from agent_relay.core.dialog.debt import State
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.response_outcomes import ResponseOutcomes


class GatewayReports:
    def __init__(
        self, prompts: Prompts, speech: AgentSpeech, outcomes: ResponseOutcomes, announcements: Announcer
    ) -> None:
        self.media_away = False
        """The caller cannot hear anything: nothing is requested, and time limits do not count."""
        self._responses = prompts.responses
        self._owed = prompts.owed
        self._speech = speech
        self._outcomes = outcomes
        self._announcements = announcements

    def playing(self, item_id: str, now: float) -> list[Command]:
        self._speech.playing(item_id, now)
        self._heard(item_id, now)
        return []

    def played(self, item_id: str, heard_ms: int, now: float, *, complete: bool) -> list[Command]:
        if heard_ms:
            self._heard(item_id, now)
        return self._speech.played(item_id, heard_ms, complete=complete) + self.never_heard(now)

    def media_attached(self, lost_at: float, now: float) -> list[Command]:
        """A new media socket: audio that the previous one had not played may be lost. `lost_at`: when the previous one
        was last known alive.
        """
        if self.media_away:
            self.media_away = False
            self._owed.resumed(now)
        return self._speech.another_socket(lost_at, now) + self.never_heard(now) + self._cut_off(now)

    def media_detached(self, now: float) -> list[Command]:
        self.media_away = True
        return self._speech.unheard_is_lost(now) + self.never_heard(now) + self._cut_off(now)

    def _cut_off(self, now: float) -> list[Command]:
        """Owe the caller the rest of the answer that the lost socket cut off."""
        cut = self._announcements.repeat(self._speech.take_cut())
        debt = self._owed.debt
        if not cut or (debt is not None and debt.response_id not in cut):
            return []
        return self._outcomes.missed(self._owed.rest_lost(cut, now), now)

    def never_heard(self, now: float) -> list[Command]:
        """Request the owed speech again if its audio was generated but lost before it was played."""
        debt = self._owed.debt
        if debt is None or debt.state is not State.SOUNDING or self._speech.may_be_unheard(debt.response_id):
            return []
        return self._outcomes.missed(self._owed.never_heard(debt.response_id, now), now)

    def _heard(self, item_id: str, now: float) -> None:
        response_id = self._speech.response_of(item_id)
        self._announcements.was_heard(response_id)
        self._owed.heard(response_id, active=self._responses.active == response_id, now=now)
