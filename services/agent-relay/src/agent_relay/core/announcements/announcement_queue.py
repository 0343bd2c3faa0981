"""What others want said: one text after the other, sentence by sentence, between the turns of the conversation.

A sentence is asked for when no response is active and the caller neither speaks nor waits for an answer. Audio comes
faster than it plays, so the next one is there before the caller has heard this one. A barge-in pauses a text that has
begun. If the caller said words, the text ends; after a noise it continues with the first sentence that was not heard.
What was spoken is noted sentence by sentence, so that another relay continues with the next one.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent_relay.core.announcements.announcement import Announcement
from agent_relay.core.announcements.sentences import Sentence
from agent_relay.core.dialog.agent_speech import AgentSpeech
from agent_relay.core.dialog.conversation_commands import Command, MarkSaid, Send
from agent_relay.core.dialog.debt import Limits
from agent_relay.core.dialog.escalation import FIRST_WAIT_S
from agent_relay.core.dialog.responses import UNKNOWN, Purpose, Responses
from agent_relay.core.dialog.wall_clock import WallClock
from agent_relay.core.protocol.rate_limits import wait_s
from agent_relay.core.protocol.spoken_text import Form, spoken
from agent_relay.core.protocol.voice_events import ErrorEvent, ResponseDone, cancel_response
from bridge_common.wire.entries import Say

SAY: Final = "say"
"""The notice that tells what became of a text."""
ATTEMPTS: Final = 2
_DROPPED_KEPT: Final = 16


class Outcome(StrEnum):
    SPOKEN = "spoken"
    """To the end, and heard."""
    INTERRUPTED = "interrupted"
    """By the caller."""
    REPLACED = "replaced"
    """By a text that interrupts."""
    FAILED = "failed"
    """The voice service did not speak it."""
    CALL_ENDED = "call_ended"


@dataclass(frozen=True, slots=True)
class _Asked:
    """The sentence that is being spoken."""

    announcement: Announcement
    sentence: Sentence


class AnnouncementQueue:
    """`said`: how far another relay came, as in the call's record."""

    def __init__(
        self,
        forms: Sequence[Form],
        language: str,
        responses: Responses,
        speech: AgentSpeech,
        clock: WallClock,
        limits: Limits,
        said: str = "",
    ) -> None:
        self.said = said
        self._held = False
        """Begin no further sentence: another relay will."""
        self.paused = False
        """The caller was heard; whether it was speech or a noise is not known yet."""
        self._forms = forms
        self._form = 0
        """The first one that was not refused."""
        self._language = language
        self._responses = responses
        self._speech = speech
        self._clock = clock
        self._limits = limits
        self._not_before = 0.0
        """The model is over its quota until then."""
        self._waiting: deque[Announcement] = deque()
        self._hearing: list[Announcement] = []
        """Spoken to the end, but perhaps not heard to the end."""
        self._asked: _Asked | None = None
        self._dropped: deque[str] = deque(maxlen=_DROPPED_KEPT)
        self._newest_entry = ""
        self._overridden_at: float | None = None
        """When the request was sent whose response must not be heard: a text that interrupts came before it began."""

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._hearing and self._asked is None

    @property
    def quiet(self) -> bool:
        """Nothing is about to be spoken."""
        return self._asked is None and (self._held or not any(waiting.ready for waiting in self._waiting))

    def next_at(self) -> float | None:
        """When there is something to do, if nobody else speaks; 0 for now."""
        if self._asked is not None:
            return self._stuck_at
        if not self._waiting or self._held or self.paused or not self._responses.idle:
            return None
        first = self._waiting[0]
        at = 0.0 if first.ready or first.whole else first.next_at(silent=self._speech.quiet)
        return None if at is None else max(at, self._not_before)

    @property
    def _stuck_at(self) -> float:
        """When the sentence that was asked for is given up."""
        asked_at, active = self._responses.asked_at, self._responses.active
        if not active:
            return asked_at + self._limits.start_s
        return asked_at + (self._limits.patience_s if self._speech.spoken_ms(active) else self._limits.fallback_s)

    @property
    def override_request(self) -> bool:
        """A text that interrupts came while the last request was not answered yet."""
        return self._overridden_at == self._responses.asked_at

    def hold(self, held: bool) -> bool:
        """Whether that changes anything."""
        changed, self._held = self._held is not held, held
        return changed

    # -- text comes
    def piece(self, entry_id: str, piece: Say, now: float) -> list[Command]:
        self._newest_entry = entry_id
        known = next((one for one in self._waiting if one.say_id == piece.say_id), None)
        if known is not None:
            known.add(entry_id, piece, now)
            return []
        begun = self._begin(piece)
        if begun is None:
            return []
        before = [*self._hearing, *self._waiting]
        self._waiting.append(begun)
        begun.add(entry_id, piece, now)
        return self._make_room(before, now) if piece.interrupt and not begun.begun else []

    def _begin(self, piece: Say) -> Announcement | None:
        """None for what was spoken or dropped before."""
        said_id, _, characters = self.said.rpartition(":")
        spoken_characters = int(characters) if said_id == piece.say_id and characters.isdigit() else 0
        known = piece.say_id in self._dropped or any(one.say_id == piece.say_id for one in self._hearing)
        if known or piece.at > spoken_characters:
            return None
        return Announcement(piece.say_id, self._language, spoken_characters)

    def _make_room(self, before: list[Announcement], now: float) -> list[Command]:
        """For a text that interrupts: neither what is being said nor what waits is wanted any more."""
        if not self._responses.idle and not self._responses.active:
            self._overridden_at = self._responses.asked_at
        commands = self._speech.interrupt(self._responses.active)
        if self._responses.active not in ("", UNKNOWN):
            commands.append(Send(cancel_response(self._responses.active)))
        return commands + self._drop(before, Outcome.REPLACED, now)

    # -- speaking
    def advance(self, now: float, *, free: bool) -> list[Command]:
        """What is due. `free`: nobody else speaks or is about to."""
        commands = self._settle(now)
        if self._asked is not None and not self._responses.hold(Purpose.SAY):
            commands += self._failed(self._asked, now)  # the request was forgotten elsewhere
        elif self._asked is not None and now >= self._stuck_at:
            commands += self._free_session() + self._failed(self._asked, now)
        free = free and not self.paused and now >= self._not_before
        while free and self._asked is None and self._waiting and not self._held and self._responses.idle:
            first = self._waiting[0]
            first.look(now, silent=self._speech.quiet)
            sentence = first.take()
            if sentence is not None:
                self._asked = _Asked(first, sentence)
                return commands + self._ask(sentence, now)
            if not first.whole:
                break
            self._hearing.append(self._waiting.popleft())
            commands += [self._mark(), *self._settle(now)]
        return commands

    def _ask(self, sentence: Sentence, now: float) -> list[Command]:
        before, request = spoken(self._forms[self._form], sentence.text)
        events = [*before, self._responses.ask(request, Purpose.SAY, now)]
        return [Send(event) for event in events]

    def _free_session(self) -> list[Command]:
        """Cancel a response that does not begin or does not end."""
        active = self._responses.forget()
        if not active:
            return []
        self._speech.drop(active)
        return [Send(cancel_response(active))]

    def response_done(self, event: ResponseDone, now: float, *, silent: bool) -> list[Command]:
        """The response to our request has ended. `silent`: without audio."""
        asked = self._asked
        if asked is None:
            return []
        if event.status == "cancelled":
            return self.interrupted(now)
        if event.status == "failed" or silent:
            return self._failed(asked, now, wait_s(event.reason, event.kind, event.message))
        self._asked = None
        asked.announcement.was_spoken(asked.sentence, event.response_id)
        return [self._mark()]

    def refused(self, event: ErrorEvent, now: float) -> list[Command]:
        """If the error refuses our request: repeat it, with the next form from now on if the form was refused."""
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
        """`wait`: seconds for which the model is over its quota, 0 if unknown."""
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

    # -- being stopped
    def pause(self) -> None:
        """The caller speaks, and the audio that they were hearing is cleared."""
        self.paused = bool(self._hearing) or any(one.begun for one in self._waiting)
        active = self._responses.active
        if self._asked is not None and active:
            self._asked.announcement.responses.add(active)
            if self._speech.spoken_ms(active) and not self._speech.untouched(active):
                self._asked.announcement.was_heard()
        for announcement in (*self._hearing, *self._waiting):
            announcement.heard = announcement.heard or not all(map(self._speech.untouched, announcement.response_ids))
        if self._asked is not None:
            self._put_back(self._asked)
        for announcement in (*self._hearing, *self._waiting):
            announcement.take_back(self._speech.may_be_unheard)

    def interrupted(self, now: float) -> list[Command]:
        """The caller interrupts: drop every text of which they have heard something."""
        if not self.paused:
            self.pause()
        self.paused = False
        self._speak_rest()
        heard = [one for one in self._waiting if one.heard]
        for one in self._waiting:
            one.begun = one.heard
        return self._drop([*self._hearing, *heard], Outcome.INTERRUPTED, now)

    def was_heard(self, response_id: str) -> None:
        """The caller has heard something of this response."""
        for announcement in (*self._hearing, *self._waiting):
            announcement.heard = announcement.heard or response_id in announcement.responses

    def go_on(self) -> None:
        """The caller's speech was a noise: resume."""
        self.paused = False
        self._speak_rest()

    def repeat(self, lost: Collection[str]) -> set[str]:
        """The audio of these responses was lost: speak those of ours again. Returns the others."""
        ours = {id_ for one in (*self._hearing, *self._waiting) for id_ in one.response_ids}
        if not self.paused:
            for announcement in (*self._hearing, *self._waiting):
                announcement.take_back(lambda response_id: response_id in lost)
            self._speak_rest()
        return set(lost) - ours

    def _speak_rest(self) -> None:
        """Texts that were spoken to the end have sentences to be spoken again."""
        again = [one for one in self._hearing if one.ready]
        self._hearing = [one for one in self._hearing if not one.ready]
        self._waiting.extendleft(reversed(again))

    def unwanted(self, response_id: str) -> list[Command]:
        """A response that begins although its text was dropped meanwhile must not be heard."""
        if self._responses.purpose is not Purpose.SAY or self._asked is not None:
            return []
        self._speech.drop(response_id)
        return [Send(cancel_response(response_id))]

    def session_lost(self) -> None:
        """What was being spoken is spoken again by the next session."""
        self._not_before = 0.0
        if self._asked is not None:
            self._put_back(self._asked)

    def call_ended(self, now: float) -> list[Command]:
        """Nothing more of anything is heard."""
        unheard = [*self._hearing, *self._waiting]
        self._hearing.clear()
        self._waiting.clear()
        self._asked = None
        return [self._told(one, Outcome.CALL_ENDED, now) for one in unheard]

    def call_left(self, now: float) -> list[Command]:
        """Another relay speaks what waits; what sounds still is heard to the end."""
        told = [self._told(one, Outcome.SPOKEN, now) for one in self._hearing]
        self._hearing.clear()
        return told

    def _drop(self, unwanted: Iterable[Announcement], outcome: Outcome, now: float) -> list[Command]:
        gone = list(unwanted)
        if not gone:
            return []
        if self._asked is not None and self._asked.announcement in gone:
            self._asked = None
        self._dropped += [one.say_id for one in gone]
        self._hearing = [one for one in self._hearing if one not in gone]
        self._waiting = deque(one for one in self._waiting if one not in gone)
        return [*(self._told(one, outcome, now) for one in gone), self._mark()]

    # -- what is written down
    def _settle(self, now: float) -> list[Command]:
        heard = [one for one in self._hearing if not one.ready and self._speech.settled(one.response_ids)]
        self._hearing = [one for one in self._hearing if one not in heard]
        return [self._told(one, Outcome.SPOKEN, now) for one in heard]

    def _told(self, announcement: Announcement, outcome: Outcome, now: float) -> Command:
        detail = {"say_id": announcement.say_id, "outcome": outcome, "characters": announcement.spoken}
        return self._clock.notice(SAY, json.dumps(detail), now)

    def _mark(self) -> Command:
        first = self._waiting[0] if self._waiting else None
        self.said = f"{first.say_id}:{first.spoken}" if first is not None and first.spoken else ""
        oldest = (one.oldest_entry for one in self._waiting)
        keep_from = min((entry for entry in oldest if entry), key=_order, default=_after(self._newest_entry))
        return MarkSaid(self.said, " ".join(self._dropped), keep_from)


def outcome_of(detail: str) -> Outcome:
    """Out of the detail of such a notice."""
    return Outcome(json.loads(detail)["outcome"])


def _order(entry_id: str) -> tuple[int, int]:
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number or 0)


def _after(entry_id: str) -> str:
    """The lowest entry id behind this one."""
    if not entry_id:
        return ""
    ms, number = _order(entry_id)
    return f"{ms}-{number + 1}"
