"""Speaks announcements through the voice service, sentence by sentence, between the turns of the conversation.

A sentence is requested when no response is active and the caller neither speaks nor waits for an answer. Audio arrives
faster than it is played, so the audio of the next sentence arrives before the current one has been played. A barge-in
pauses an announcement that has begun. If the caller said words, the announcement is dropped; if it was only noise, it
continues with the first sentence that was not heard.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent_relay.core.announcements.announcement import Announcement
from agent_relay.core.announcements.announcement_queue import AnnouncementQueue, Outcome
from agent_relay.core.announcements.sentences import Sentence
from agent_relay.core.dialog.agent_speech import AgentSpeech
from agent_relay.core.dialog.conversation_commands import Command, Send, WallClock, sends
from agent_relay.core.dialog.debt import FIRST_WAIT_S, Limits
from agent_relay.core.dialog.responses import UNKNOWN, Purpose, Responses
from agent_relay.core.protocol.rate_limits import wait_s
from agent_relay.core.protocol.spoken_text import Form, spoken
from agent_relay.core.protocol.voice_events import ErrorEvent, ResponseDone, cancel_response
from bridge_common.wire.entries import Say, TranscriptEntry

ATTEMPTS: Final = 2
NO_ENTRY: Final = "0-1"
"""Entry id of texts that are not in the announcement stream. It precedes all real entry ids, so that no entry is
deleted.
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """The sentence that was requested."""

    announcement: Announcement
    sentence: Sentence


class Announcer:
    """Speaks the announcements of one call. `said` and `transcript`: the progress of the previous relay, in the call's
    record and in its notices.
    """

    def __init__(
        self,
        forms: Sequence[Form],
        language: str,
        responses: Responses,
        speech: AgentSpeech,
        clock: WallClock,
        limits: Limits,
        said: str = "",
        transcript: Iterable[TranscriptEntry] = (),
    ) -> None:
        self.queue = AnnouncementQueue(language, speech, clock, said, transcript)
        self.paused = False
        """Whether announcements are paused because the caller speaks, until it is known whether that is speech or
        noise.
        """
        self._held = False
        """Whether no further sentence is begun, because another relay will speak it."""
        self._forms = forms
        self._form = 0
        """Index of the first form that the service has not rejected."""
        self._responses = responses
        self._speech = speech
        self._limits = limits
        self._not_before = 0.0
        """Earliest time of the next request after a rate limit."""
        self._asked: _Asked | None = None
        self._overridden_at: float | None = None
        """Send time of the request whose response must not be heard, because an interrupting announcement arrived
        before the response began.
        """

    @property
    def idle(self) -> bool:
        return self.queue.empty and self._asked is None

    @property
    def quiet(self) -> bool:
        return self._asked is None and (self._held or not self.queue.ready)

    def next_at(self) -> float | None:
        """Return when `advance` is due if nobody else speaks; 0 for now, None if that depends on an event."""
        if self._asked is not None:
            return self._stuck_at
        first = self.queue.first
        if first is None or self._held or self.paused or not self._responses.idle:
            return None
        at = 0.0 if first.ready or first.whole else first.next_at(silent=self._speech.quiet)
        return None if at is None else max(at, self._not_before)

    @property
    def _stuck_at(self) -> float:
        """When the request for the sentence counts as failed."""
        asked_at, active = self._responses.asked_at, self._responses.active
        if not active:
            return asked_at + self._limits.start_s
        return asked_at + (self._limits.patience_s if self._speech.spoken_ms(active) else self._limits.fallback_s)

    @property
    def override_request(self) -> bool:
        """Whether an interrupting announcement arrived before the last request was answered."""
        return self._overridden_at == self._responses.asked_at

    def hold(self, held: bool) -> bool:
        """Stop (`held`) or allow further sentences. Return whether the state changed."""
        changed, self._held = self._held is not held, held
        return changed

    def piece(self, entry_id: str, piece: Say, now: float) -> list[Command]:
        return self._make_room(now) if self.queue.add(entry_id, piece, now) else []

    def _make_room(self, now: float) -> list[Command]:
        """Stop the current speech and drop the waiting announcements, which an interrupting one replaces."""
        if not self._responses.idle and not self._responses.active:
            self._overridden_at = self._responses.asked_at
        commands = self._speech.interrupt(self._responses.active)
        if self._responses.active not in ("", UNKNOWN):
            commands.append(Send(cancel_response(self._responses.active)))
        self._asked = None  # its announcement is dropped
        return commands + self.queue.drop_replaced(now)

    # -- speaking
    def advance(self, now: float, *, free: bool) -> list[Command]:
        """Return the commands that are due. `free`: nobody else speaks or is about to speak."""
        commands = self.queue.settle(now)
        if self._asked is not None and not self._responses.hold(Purpose.SAY):
            commands += self._failed(self._asked, now)  # another module dropped the request
        elif self._asked is not None and now >= self._stuck_at:
            commands += self._free_session() + self._failed(self._asked, now)
        free = free and not self.paused and now >= self._not_before and not self._held
        while free and self._asked is None and self._responses.idle and (first := self.queue.first) is not None:
            first.look(now, silent=self._speech.quiet)
            sentence = first.take()
            if sentence is not None:
                self._asked = _Asked(first, sentence)
                return commands + self._ask(sentence, now)
            if not first.whole:
                break
            commands += self.queue.finish_first(now)
        return commands

    def _ask(self, sentence: Sentence, now: float) -> list[Command]:
        before, request = spoken(self._forms[self._form], sentence.text)
        return sends([*before, self._responses.ask(request, Purpose.SAY, now)])

    def _free_session(self) -> list[Command]:
        """Drop a request that is not answered, and cancel a response that does not end."""
        active = self._responses.forget()
        if not active:
            return []
        self._speech.drop(active)
        return [Send(cancel_response(active))]

    def response_done(self, event: ResponseDone, now: float, *, silent: bool) -> list[Command]:
        """Handle the end of the response to the request. `silent`: it had no audio."""
        asked = self._asked
        if asked is None:
            return []
        if event.status == "cancelled":
            return self.interrupted(now)
        if event.status == "failed" or silent:
            return self._failed(asked, now, wait_s(event.reason, event.kind, event.message))
        self._asked = None
        asked.announcement.was_spoken(asked.sentence, event.response_id)
        return [self.queue.mark()]

    def refused(self, event: ErrorEvent, now: float) -> list[Command]:
        """Handle an error that may reject the request: repeat it, in the next form if the service rejected its form."""
        asked = self._asked
        if asked is None or self._responses.hold(Purpose.SAY):
            return []
        if self._responses.active:
            self._put_back(asked)  # until the active response has ended
            return []
        wait = wait_s(event.code, event.kind, event.message)
        if wait is not None or not event.event_id or event.kind == "server_error":
            return self._failed(asked, now, wait)
        if self._form + 1 == len(self._forms):
            return self._drop([asked.announcement], Outcome.FAILED, now)
        self._form += 1
        self._put_back(asked)
        return []

    def _failed(self, asked: _Asked, now: float, wait: float | None = None) -> list[Command]:
        """Repeat the sentence, or drop its announcement after `ATTEMPTS` failures. `wait`: seconds until the rate limit
        of the model ends, 0 if unknown; None without a rate limit.
        """
        failures = asked.announcement.failed()
        if wait is not None:
            self._not_before = now + (wait or FIRST_WAIT_S)
        if failures == ATTEMPTS:
            return self._drop([asked.announcement], Outcome.FAILED, now)
        self._put_back(asked)
        return []

    def _put_back(self, asked: _Asked) -> None:
        asked.announcement.put_back(asked.sentence)
        self._asked = None

    def _drop(self, unwanted: Iterable[Announcement], outcome: Outcome, now: float) -> list[Command]:
        self._asked = None
        return self.queue.drop(unwanted, outcome, now)

    # -- being stopped
    def pause(self) -> None:
        """Pause the announcements because the caller speaks and the audio that they were hearing is cleared."""
        self.paused = self.queue.begun
        active = self._responses.active
        if self._asked is not None and active:
            self._asked.announcement.responses.add(active)
            if self._speech.spoken_ms(active) and not self._speech.untouched(active):
                self._asked.announcement.was_heard()
        self.queue.check_heard()
        if self._asked is not None:
            self._put_back(self._asked)
        self.queue.take_back(self._speech.may_be_unheard)

    def withdraw(self, say_id: str, now: float) -> list[Command]:
        """Stop an announcement whose rest must not be heard."""
        gone = self.queue.of(say_id)
        if not gone:
            return []
        commands: list[Command] = []
        if self._asked is not None and self._asked.announcement in gone:
            commands = self._free_session()
            self._asked = None
        return self._speech.interrupt("") + commands + self.queue.drop(gone, Outcome.INTERRUPTED, now)

    def interrupted(self, now: float) -> list[Command]:
        """Drop every announcement that the caller has heard in part, because they interrupted it."""
        if not self.paused:
            self.pause()
        self.go_on()
        return self.queue.drop_interrupted(now)

    def go_on(self) -> None:
        """Resume the announcements, because the caller's speech was only noise."""
        self.paused = False
        self.queue.speak_rest()

    def repeat(self, lost: Collection[str]) -> set[str]:
        """Speak the sentences of these responses again, because their audio was lost. Return the responses that are not
        announcements.
        """
        ours = self.queue.speaks()
        if not self.paused:
            self.queue.take_back(lambda response_id: response_id in lost)
            self.queue.speak_rest()
        return set(lost) - ours

    def unwanted(self, response_id: str) -> list[Command]:
        """Cancel a response that begins although its announcement was dropped in the meantime."""
        if self._responses.purpose is not Purpose.SAY or self._asked is not None:
            return []
        self._speech.drop(response_id)
        return [Send(cancel_response(response_id))]

    def session_lost(self) -> None:
        """Queue the requested sentence again for the next session."""
        self._not_before = 0.0
        if self._asked is not None:
            self._put_back(self._asked)

    def call_ended(self, now: float) -> list[Command]:
        self._asked = None
        return self.queue.call_ended(now)
