"""Interim responses: short phrases in the agent's voice while the caller waits for a tool.

A phrase is due after a time without sound at the caller's ear. It is never spoken over the caller or the agent, and
what the agent says itself counts as a phrase. A phrase that the service does not speak is not repeated; the hold tone
fills the silence instead. While the agent continues without the result of a late tool, only the further phrases are
spoken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent_relay.core.dialog.agent_speech import AgentSpeech
from agent_relay.core.dialog.conversation_commands import Command, sends
from agent_relay.core.dialog.debt import Limits
from agent_relay.core.dialog.responses import Purpose, Responses
from agent_relay.core.protocol.rate_limits import wait_s
from agent_relay.core.protocol.spoken_text import Form, spoken
from agent_relay.core.protocol.voice_events import ErrorEvent, cancel_response

GRACE_S: Final = 0.3
"""A tool that returns within this time needs no phrase, however long the caller has waited before."""
TONE_S: Final = 1.3
"""The hold tone begins after this time without sound while the caller waits for a tool."""


@dataclass(frozen=True, slots=True)
class InterimProfile:
    """Without `texts`, nothing is spoken. Times in seconds without sound: before the first phrase of a wait, and
    before each further one.
    """

    texts: tuple[str, ...] = ()
    after_s: float = 0.8
    again_after_s: float = 8.0


class Interim:
    """The interim responses of one call. `waits`: the caller waits for a tool."""

    def __init__(
        self,
        profile: InterimProfile,
        forms: Sequence[Form],
        responses: Responses,
        speech: AgentSpeech,
        limits: Limits,
    ) -> None:
        self._profile = profile
        self._forms = forms
        self._form = 0
        """Index of the first form that the service has not rejected."""
        self._responses = responses
        self._speech = speech
        self._limits = limits
        self._texts = 0
        """Number of phrases requested so far; the next one is another text."""
        self._waits_since: float | None = None
        self._awaited_since: float | None = None
        self._late = False
        self._silent_since: float | None = None
        """Since when neither the caller nor the agent has been heard; None while one is heard."""
        self._asked_at: float | None = None
        """When the latest phrase of this wait was requested."""
        self.pending = False
        """Whether a phrase was requested and its response has not ended."""
        self.spoken = False
        """Whether the agent was heard during the latest wait."""

    @property
    def tone_at(self) -> float | None:
        """When the hold tone is due; None while the caller or the agent is heard, or no result is awaited."""
        if self._silent_since is None or self._awaited_since is None:
            return None
        grace_s = TONE_S if self._waits_since is None else GRACE_S
        return max(self._silent_since + TONE_S, self._awaited_since + grace_s)

    def next_at(self) -> float | None:
        """Return when `advance` is due; None if that depends on an event."""
        if self.pending:
            return self._stuck_at
        if self._silent_since is None or not self._profile.texts or not self._responses.idle:
            return None
        if self._waits_since is not None and not self.spoken:
            at = max(self._silent_since + self._profile.after_s, self._waits_since + GRACE_S)
        elif self._waits_since is not None or self._late:
            at = self._silent_since + self._profile.again_after_s
        else:
            return None
        return at if self._asked_at is None else max(at, self._asked_at + self._profile.again_after_s)

    @property
    def _stuck_at(self) -> float:
        """When the requested phrase counts as failed, so that it does not delay the answer any longer."""
        spoken_ms = self._speech.spoken_ms(self._responses.active)
        return self._responses.asked_at + (self._limits.fallback_s if spoken_ms else self._limits.start_s)

    def caller_typed(self, now: float) -> None:
        """Handle the end of the caller's key entry: the silence in which the caller typed does not count."""
        self._silent_since = now

    def advance(
        self, now: float, *, waits: bool, awaited: bool, late: bool, caller_speaks: bool, free: bool
    ) -> list[Command]:
        """Return the request for a phrase that is due. Call it after every event. `waits`: the agent waits for a tool.
        `awaited`: the caller waits for a tool, or for the answer to its result. `late`: the agent continues without the
        result of one. `free`: a response may be requested, and nobody else is about to speak.
        """
        commands = self._advance_pending(now)
        agent_speaks = not self._speech.quiet
        if caller_speaks or agent_speaks:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = now
        self._late = late
        if not awaited:
            self._awaited_since = None
        elif self._awaited_since is None:
            self._awaited_since = now
        if not waits:
            self._waits_since = None
        elif self._waits_since is None:
            self._waits_since, self._asked_at, self.spoken = now, None, False
        self.spoken = self.spoken or agent_speaks
        due = None if self.pending else self.next_at()
        if due is None or now < due or not free:
            return commands
        return commands + self._ask(now)

    def _advance_pending(self, now: float) -> list[Command]:
        if not self.pending:
            return []
        if self._responses.hold(Purpose.INTERIM) and now < self._stuck_at:
            return []
        self.pending = False
        if not self._responses.hold(Purpose.INTERIM):
            return []
        active = self._responses.forget()
        if not active:
            return []
        self._speech.drop(active)
        return sends([cancel_response(active)])

    def _ask(self, now: float) -> list[Command]:
        texts = self._profile.texts
        before, request = spoken(self._forms[self._form], texts[self._texts % len(texts)])
        self._asked_at, self.pending = now, True
        self._texts += 1
        return sends([*before, self._responses.ask(request, Purpose.INTERIM, now)])

    def refused(self, event: ErrorEvent) -> None:
        """Handle an error that may reject the request: repeat it, in the next form if the service rejected its form."""
        if not self.pending or self._responses.hold(Purpose.INTERIM):
            return
        self.pending = False
        quota = wait_s(event.code, event.kind, event.message) is not None
        if self._responses.active or quota or not event.event_id or event.kind == "server_error":
            return
        if self._form + 1 < len(self._forms):
            self._form += 1
            self._asked_at = None
            self._texts -= 1

    def session_lost(self) -> None:
        self.pending = False
        self._form = 0
