"""Decides when the agent may speak unprompted: it greets once the caller can hear it, and announces when nobody else
speaks.
"""

from __future__ import annotations

from agent_relay.core.dialog.conversation_commands import Append, Command, MarkGreeted
from agent_relay.core.dialog.hold_policy import HoldPolicy
from agent_relay.core.dialog.owed_speech import OwedSpeech
from agent_relay.core.dialog.turns import Turns
from agent_relay.core.dialog.voice_session import VoiceSession
from bridge_common.wire.entries import Hold


class Floor:
    """Decides when to greet the caller and when to speak announcements. `greeted`: the caller needs no greeting any
    more.
    """

    def __init__(self, line: HoldPolicy, session: VoiceSession, turns: Turns, *, greeted: bool) -> None:
        self._line = line
        self._session = session
        self._turns = turns
        self.greeted = greeted
        self._agent_left = False
        self._greeting_pends = False
        """Whether the result of `MarkGreeted` is still outstanding."""

    @property
    def greeting_at(self) -> float | None:
        """Earliest time of the greeting; None if it is unknown or the caller was greeted."""
        return self._line.opens_at if self._session.ready and not self.greeted else None

    def greet(self, now: float) -> list[Command]:
        at = self.greeting_at
        if at is None or now < at:
            return []
        self.greeted = self._greeting_pends = True
        return [MarkGreeted()]

    def greeting_answered(self) -> None:
        self._greeting_pends = False

    def agent_left(self, now: float) -> list[Command]:
        """Handle that the agent has closed its session, if the caller could hear it; else return no command."""
        if not self._session.ready or not self.greeted or self._line.opens_at is None:
            return []
        self._agent_left = True
        return self._session.closed("closed by the agent", now) + self._turns.agent_left(now)

    def hold_tone(self, owed: OwedSpeech, now: float, *, asks: bool) -> list[Command]:
        """Begin or end the hold tone if that is due. `asks`: a phrase may precede it that asks the caller to wait."""
        tone_at = self._turns.of_agent.tone_at
        hold = self._line.hold(tone_at, now)
        if hold is None:
            return []
        quiet = self._turns.speech.quiet and not self._turns.tools.filled_in
        phrase = hold and asks and tone_at is not None and self._line.asks_to_wait(owed.debt, quiet=quiet)
        return [Append(Hold(hold, phrase=phrase))]

    @property
    def free_at(self) -> float | None:
        """When an announcement may be spoken; None if that depends on an event, not only on time."""
        opens_at = self._line.opens_at
        if self._agent_left:
            return opens_at
        waits = not self._session.ready or not self.greeted or self._greeting_pends
        if opens_at is None or waits or self._turns.caller.speaks or self._turns.media_away:
            return None
        return max(opens_at, self._turns.of_caller.answer_due_at or 0.0)

    def free(self, now: float) -> bool:
        """Return whether an announcement may be spoken now."""
        at = self.free_at
        return at is not None and now >= at

    def announce(self, now: float) -> list[Command]:
        """Speak the next sentence if nothing else is being spoken. Call it after every event."""
        if self._turns.announcements.idle:
            return []
        return self._turns.announcements.advance(now, free=self.free(now))

    @property
    def announce_at(self) -> float | None:
        """When the next sentence can be spoken; None if that depends on an event, not only on time."""
        at, free_at = self._turns.announcements.next_at(), self.free_at
        return None if at is None or free_at is None else max(at, free_at)
