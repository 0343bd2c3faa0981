"""What we ask of the voice session by ourselves: answers, greeting, apology; and what waits for the next session."""

from __future__ import annotations

from collections.abc import Iterable

from agent_relay.core.commands import Abandon, Command, Send
from agent_relay.core.greeting import Saying
from agent_relay.core.plan import Plan
from agent_relay.core.responses import Purpose, Responses
from agent_relay.core.voice_live import ClientEvent, ErrorEvent, create_response
from agent_relay.core.wall_clock import WallClock


class Prompts:
    """Nothing is sent while no session is `ready`; what cannot be sent is owed to the caller by the next session."""

    def __init__(self, plan: Plan, clock: WallClock) -> None:
        self.ready = False
        self.last_error = ""
        """What the service said last against this session, for the reason of a failed connection."""
        self.responses = Responses()
        self.owes_answer = False
        self._plan = plan
        self._clock = clock
        self._unsent: list[ClientEvent] = []
        self._failures = 0
        self._greeting = Saying(plan.greeting or plan.fallback, speaks_fixed_text=plan.speaks_fixed_text)
        self._greeting_waits = False
        self._greeting_spoken = False
        self._fallback = Saying(plan.fallback, speaks_fixed_text=plan.speaks_fixed_text)

    # -- the voice session
    def session_lost(self) -> None:
        self.ready = False
        owed = self.responses.lost()
        if Purpose.GREETING in owed and not self._greeting_spoken:
            self._greeting_waits = True
            owed.remove(Purpose.GREETING)
        # A text of others is not owed: it still stands in its own queue.
        self.owes_answer = self.owes_answer or any(purpose is not Purpose.SAY for purpose in owed)

    def to_session(self, events: list[ClientEvent]) -> list[Command]:
        """Now, or with the next session, which then owes an answer."""
        if self.ready:
            return sends(events)
        self._unsent += events
        self.owes_answer = True
        return []

    def take_unsent(self) -> list[ClientEvent]:
        unsent, self._unsent = self._unsent, []
        return unsent

    def take_owed(self) -> bool:
        owed, self.owes_answer = self.owes_answer, False
        return owed

    # -- what came of it
    def audio_began(self) -> None:
        if self.responses.purpose is Purpose.GREETING:
            self._greeting_spoken = True

    def caller_spoke(self) -> None:
        """Their next answer has its own attempts."""
        self._failures = 0

    def succeeded(self) -> None:
        self._failures = 0
        self._fallback.restart()

    def failed(self, now: float) -> list[Command]:
        """Once again; then say so, rather than leave the caller in silence."""
        self._failures += 1
        if self._failures == 1 and self.responses.purpose is Purpose.GREETING and not self._greeting_spoken:
            self._greeting.repeat()
            return self.greet(now)
        if self._failures == 1:
            return self.ask(now)
        return self.apologize(now) if self._failures == 2 else self._give_up()

    def refused(self, event: ErrorEvent, now: float) -> list[Command]:
        """Only a refused request needs something done; truncations that came too late and the like are harmless."""
        self.last_error = f"{event.code}: {event.message}"
        request = self.responses.refused(event, now)
        if request is None:
            return []
        purpose = request[1]
        notice = self._clock.notice("request_refused", f"{purpose}: {event.code}", now)
        if purpose is Purpose.SAY:
            return [notice]
        if purpose is Purpose.ANSWER:
            return [notice, *self.failed(now)]
        return [notice, *(self.greet(now) if purpose is Purpose.GREETING else self.apologize(now))]

    # -- asking
    def ask(self, now: float) -> list[Command]:
        return sends(self.responses.ask(create_response(), Purpose.ANSWER, now))

    def apologize(self, now: float) -> list[Command]:
        return self._say(self._fallback, Purpose.FALLBACK, now)

    def greet(self, now: float) -> list[Command]:
        return self._say(self._greeting, Purpose.GREETING, now)

    def greeting_granted(self, granted: bool, now: float) -> list[Command]:
        """The answer to `MarkGreeted`: False when another relay has greeted this caller."""
        greeting = self._plan.greeting
        if not granted or greeting is None:
            return []
        notice = self._clock.notice("greeting", greeting.text or greeting.say_how or "", now)
        if not self.ready:
            self._greeting_waits = True
            return [notice]
        return [notice, *self.greet(now)]

    def greet_if_owed(self, now: float) -> list[Command]:
        if not self._greeting_waits:
            return []
        self._greeting_waits = False
        self._greeting.restart()
        return self.greet(now)

    def _give_up(self) -> list[Command]:
        """Not even an apology is spoken: another session may do better; if none does, people may."""
        self.owes_answer = True
        return [Abandon("the voice session answers nothing")]

    def _say(self, saying: Saying, purpose: Purpose, now: float) -> list[Command]:
        attempt = saying.attempt()
        if attempt is None:
            notice = self._clock.notice(f"{purpose}_failed", self.last_error, now)
            return [notice, *(self._give_up() if purpose is Purpose.FALLBACK else [])]
        before, request = attempt
        return sends(before) + sends(self.responses.ask(request, purpose, now))


def sends(events: Iterable[ClientEvent]) -> list[Command]:
    return [Send(event) for event in events]
