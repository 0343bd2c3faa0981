"""Requests that the relay makes by itself (answers, greeting, fallback text), and events held for the next session.

`OwedSpeech` decides which response is pending and which step is next; this module makes the requests and handles their
rejections.
"""

from __future__ import annotations

from typing import Final

from agent_relay.core.dialog.conversation_commands import Abandon, Command, GiveUp, Overdue, WallClock, sends
from agent_relay.core.dialog.debt import Debt, DebtKind, DebtStep, Missed, State
from agent_relay.core.dialog.owed_speech import OwedSpeech
from agent_relay.core.dialog.own_greeting import START_S
from agent_relay.core.dialog.responses import Purpose, Responses
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.voice_session import VoiceSession
from agent_relay.core.protocol.agent_profile import Greeting
from agent_relay.core.protocol.rate_limits import wait_s
from agent_relay.core.protocol.spoken_text import Form, spoken
from agent_relay.core.protocol.voice_events import (
    ClientEvent,
    ErrorEvent,
    ResponseDone,
    create_message,
    create_response,
)

LONGEST_ALOUD: Final = 2000
"""Maximum length, in characters, of a written answer that is spoken afterwards. It takes about two minutes."""


class Prompts:
    """Makes the requests for responses of one call. Nothing is sent while `session` is not ready."""

    def __init__(self, profile: SessionProfile, clock: WallClock, session: VoiceSession) -> None:
        self.responses = Responses()
        self.owed = OwedSpeech(profile.limits, repeats_greeting=profile.greeting_protected)
        self._profile = profile
        self._clock = clock
        self._session = session
        self._unsent: list[ClientEvent] = []
        greeting, fixed_text = profile.greeting or profile.fallback, profile.speaks_fixed_text
        self._greeting = ScriptedSpeech(greeting, speaks_fixed_text=fixed_text)
        self._fallback = ScriptedSpeech(profile.fallback, speaks_fixed_text=fixed_text)

    # -- the voice session
    @property
    def ready(self) -> bool:
        return self._session.ready

    def session_lost(self, now: float) -> list[Command]:
        active = self.responses.forget() if self.responses.purpose.answers else ""
        self.responses.forget()
        self._greeting.restart()
        self._fallback.restart()
        return self.missed(self.owed.lost(active, now), now)

    def to_session(self, events: list[ClientEvent]) -> list[Command]:
        if self.ready:
            return sends(events)
        self._unsent += events
        return []

    def take_unsent(self) -> list[ClientEvent]:
        unsent, self._unsent = self._unsent, []
        return unsent

    @property
    def due_since(self) -> float | None:
        """When the latest request was sent that the voice session has not completed; None if no response is due."""
        return self.responses.asked_at if not self.responses.idle or self.owed.expected else None

    # -- requests
    def advance(self, now: float) -> list[Command]:
        """Request the pending response if no response is active. Do not call it while the caller speaks."""
        debt = self.owed.debt
        if not self.ready or debt is None or debt.state is not State.OPEN or not self.responses.idle:
            return []
        before, request, purpose = self._request_for(debt)
        asked = self.responses.ask(request, purpose, now)
        self.owed.asked(now)
        return sends([*before, asked])

    def _request_for(self, debt: Debt) -> tuple[list[ClientEvent], ClientEvent, Purpose]:
        if debt.step is DebtStep.FALLBACK:
            return *self._fallback.attempt(), Purpose.FALLBACK
        if debt.text:
            # A model that wrote its answer assumes that it was spoken: a repeated request would bring nothing new.
            aloud = ScriptedSpeech(Greeting(text=debt.text), speaks_fixed_text=self._profile.speaks_fixed_text)
            return *aloud.attempt(), Purpose.ANSWER
        if debt.kind is DebtKind.GREETING:
            return *self._greeting.attempt(), Purpose.GREETING
        return [], create_response(), Purpose.ANSWER

    def greeting_granted(self, granted: bool, now: float, *, by_service: bool = False) -> list[Command]:
        """Handle the result of `MarkGreeted`. `granted` is False if another relay has already greeted this caller.
        `by_service`: the service speaks its own greeting; the greeting of the profile is requested only if that one
        does not begin.
        """
        greeting = self._profile.greeting
        if not granted or greeting is None:
            return []
        if by_service:
            self.owed.owe(DebtKind.GREETING, now, awaited=True, start_s=START_S)
            expected = "" if self._profile.greets_itself else ", although the profile has `greets: false`"
            return [self._clock.notice("greeting", f"by the agent's definition{expected}", now)]
        self.owed.owe(DebtKind.GREETING, now)
        return [self._clock.notice("greeting", greeting.text or greeting.say_how or "", now)]

    @property
    def awaits_greeting(self) -> bool:
        """Whether a response that begins now may be the greeting, or answers a request."""
        debt = self.owed.debt
        return (debt is not None and debt.kind is DebtKind.GREETING) or not self.responses.idle

    # -- outcomes of requests
    def refused(self, event: ErrorEvent, now: float) -> list[Command]:
        """Handle a rejected request. Other rejections, such as those of late truncations, are harmless."""
        refusal = self.responses.refused(event)
        if refusal is None:
            return []
        if refusal.busy:
            if refusal.purpose.answers:
                self.owed.bounced(now, self.responses.active)
            return []
        notice = self._clock.notice("request_refused", f"{refusal.purpose}: {event.code}", now)
        if not refusal.purpose.answers:
            return [notice]
        if self._other_form(refusal.purpose, event):
            self.owed.bounced(now, "")
            return [notice]
        why = f"{event.code}: {event.message}"
        missed = self.owed.failed("", why, now, wait_s=wait_s(event.code, event.kind, event.message))
        return [notice, *self.missed(missed, now)]

    def response_failed(self, event: ResponseDone, why: str, now: float, *, text: str) -> list[Command]:
        quota = wait_s(event.reason, event.kind, event.message)
        spoken_text = text if len(text) <= LONGEST_ALOUD else ""
        return self.missed(self.owed.failed(event.response_id, why, now, wait_s=quota, text=spoken_text), now)

    def _other_form(self, purpose: Purpose, event: ErrorEvent) -> bool:
        """Switch to the next form of the request. Return False if none is left, or if the error is a rate limit or a
        service fault, which does not concern the form.
        """
        quota = wait_s(event.code, event.kind, event.message) is not None
        if quota or not event.event_id or event.kind == "server_error":
            return False
        if purpose is Purpose.GREETING:
            return self._greeting.refused()
        return purpose is Purpose.FALLBACK and self._fallback.refused()

    def missed(self, missed: Missed | None, now: float) -> list[Command]:
        """Report the step, and abandon the session or give up the agent if needed. `advance` sends the next request."""
        if missed is None:
            return []
        detail = f"{missed.kind}: {missed.why}"
        commands: list[Command] = [
            Overdue(str(missed.kind), missed.outcome, missed.why),
            self._clock.notice("speech_overdue", f"{detail}; {missed.outcome}", now),
        ]
        if missed.step is DebtStep.GIVEN_UP:
            commands.append(GiveUp(f"the agent cannot be heard: {detail}"))
        elif missed.move:
            commands.append(Abandon(detail))
        return commands


class ScriptedSpeech:
    """A text for the agent to speak, requested in the first form that the service does not reject."""

    def __init__(self, greeting: Greeting, *, speaks_fixed_text: bool) -> None:
        self._greeting = greeting
        self._forms = [Form.SYSTEM_ITEM]
        if greeting.text is not None and speaks_fixed_text:
            self._forms.insert(0, Form.PRE_GENERATED)
        self._next = 0

    def restart(self) -> None:
        """Start with the first form again, because another session may accept it."""
        self._next = 0

    def refused(self) -> bool:
        """Switch to the next form after the service rejected the current one. Return False if none is left."""
        if self._next + 1 == len(self._forms):
            return False
        self._next += 1
        return True

    def attempt(self) -> tuple[list[ClientEvent], ClientEvent]:
        """Return the events to send first, and the request for the response."""
        form = self._forms[self._next]
        if self._greeting.text is not None:
            return spoken(form, self._greeting.text)
        opening = "The caller has just been connected and has not spoken yet. Greet them now."
        return [create_message("system", f"{opening} {self._greeting.say_how}")], create_response()
