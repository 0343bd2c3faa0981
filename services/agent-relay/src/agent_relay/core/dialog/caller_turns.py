"""The turns of the caller: their start, end and transcript, and the agent speech that they interrupt."""

from __future__ import annotations

from typing import Final

from agent_relay.core.announcements.announcer import Announcer
from agent_relay.core.dialog.agent_speech import AgentSpeech
from agent_relay.core.dialog.caller_speech import CallerSpeech
from agent_relay.core.dialog.conversation_commands import Command, Send
from agent_relay.core.dialog.debt import DebtKind, State
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.responses import UNKNOWN
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.tool_turns import ToolTurns
from agent_relay.core.protocol.voice_events import (
    SpeechStarted,
    UserTranscript,
    UserTranscriptFailed,
    cancel_response,
)

ANSWER_DUE_S: Final = 3.0
"""How long announcements wait for the answer to the caller's words. There may be none, because the words were a cough.
"""


class CallerTurns:
    def __init__(
        self,
        profile: SessionProfile,
        prompts: Prompts,
        caller: CallerSpeech,
        speech: AgentSpeech,
        announcements: Announcer,
        tools: ToolTurns,
    ) -> None:
        self._profile = profile
        self._prompts = prompts
        self._owed = prompts.owed
        self._responses = prompts.responses
        self._caller = caller
        self._speech = speech
        self._announcements = announcements
        self._tools = tools
        self._implied_end = ""
        """Item id of the speech that counts as ended because the response to it began."""

    # -- whose turn it is
    @property
    def answer_due_at(self) -> float | None:
        """Until when announcements wait for an answer to the caller's words; None if no answer is expected."""
        debt = self._owed.debt
        if debt is None or debt.state is not State.AWAITED or debt.requested:
            return None
        return debt.opened_at + (debt.start_s or ANSWER_DUE_S)

    @property
    def protects_greeting(self) -> bool:
        """Whether the caller hears, or is about to hear, a greeting that cannot be interrupted."""
        if not self._profile.greeting_protected:
            return False
        debt, greeting_id = self._owed.debt, self._owed.greeting_id
        asked = debt is not None and debt.kind is DebtKind.GREETING and debt.state is not State.OPEN
        return asked or (bool(greeting_id) and not self._speech.settled((greeting_id,)))

    # -- speech
    def started(self, event: SpeechStarted, now: float) -> list[Command]:
        if self.protects_greeting or not self._caller.started(event.item_id, now):
            return []
        self._owed.caller_began()
        return self.interrupt(self._responses.active) if self._profile.interrupts else []

    def stopped(self, item_id: str, now: float) -> list[Command]:
        if not self._responses.active or item_id != self._implied_end:  # else the response to it has begun already
            self._end(item_id, now)
        return []

    def tick(self, now: float) -> None:
        if (over_at := self._caller.over_at) is not None and now >= over_at:
            self._end(self._caller.item_id, now)

    def answer_began(self, now: float) -> None:
        """End the caller's turn when a response begins, because the service may report the end of the speech late or
        never.
        """
        if self._caller.speaks:
            self._end(self._caller.item_id, now)
            self._implied_end = self._caller.item_id
        self._caller.take_unanswered()

    def _end(self, item_id: str, now: float) -> None:
        if self._caller.stopped(item_id, now) or item_id == self._implied_end:  # else reported twice
            self._speech.caller_stopped(now)
            self._owed.caller_ended(item_id, now, awaited=self._profile.responds)

    def session_lost(self, now: float) -> list[Command]:
        self._caller.session_lost()
        return self.confirm_words(now)

    # -- words
    def transcript(self, event: UserTranscript | UserTranscriptFailed, now: float) -> list[Command]:
        commands = self._caller.transcript(event, now)
        if isinstance(event, UserTranscript) and event.text.strip():
            if event.item_id != self._caller.item_id:
                return commands  # a late transcript of earlier speech does not show that this one has words
            self._owed.suspended.forget()
            return commands + self.confirm_words(now)
        failed = isinstance(event, UserTranscriptFailed)
        if failed and self._owed.suspended.stays_owed(event.item_id) and not self._announcements.paused:
            return commands
        self._caller.forget(event.item_id)
        commands += self._prompts.missed(self._owed.no_words(event.item_id, now, self._resume), now)
        if not self._caller.waits:
            self._announcements.go_on()
        return commands

    def _resume(self, response_id: str) -> bool:
        """Play the response after all. Return False if the service has canceled it or its audio was discarded. The
        speech of a response whose function is still running follows in another response.
        """
        if self._tools.running_for(response_id):
            return True
        return response_id == self._responses.active and self._speech.resume(response_id)

    def confirm_words(self, now: float) -> list[Command]:
        """Drop a paused announcement, because the caller said words."""
        return self._announcements.interrupted(now) if self._announcements.paused else []

    # -- interruptions
    def interrupt(self, response_id: str) -> list[Command]:
        self._announcements.pause()
        commands = self._speech.interrupt(response_id)
        if (commands or response_id) and self._responses.purpose.answers:
            self._owed.suspended.cut_off()
        return commands

    def key_pressed(self, now: float) -> list[Command]:
        """Interrupt the agent after a key press, as after speech. A response whose audio is not being played yet
        continues.
        """
        if not self._profile.keys_interrupt or self._speech.quiet or self.protects_greeting:
            return []
        active = self._responses.active
        commands = self.interrupt(active) + self._announcements.interrupted(now)
        if active not in ("", UNKNOWN):
            commands.append(Send(cancel_response(active)))
        self._owed.taken_back()
        return commands
