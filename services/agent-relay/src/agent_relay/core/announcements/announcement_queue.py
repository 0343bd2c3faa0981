"""The announcements of a call that are waiting or being heard, and the records of their progress.

Progress is recorded after each sentence, so that the next relay continues with the following one. When an announcement
was spoken completely, a private notice is recorded; if this relay dies before the outcome is known, the next relay
reports the outcome.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

import msgspec

from agent_relay.core.announcements.announcement import Announcement
from agent_relay.core.dialog.agent_speech import PREVIOUS_OWNERS, AgentSpeech
from agent_relay.core.dialog.conversation_commands import Command, MarkSaid, WallClock
from bridge_common.wire.entries import Notice, Say, TranscriptEntry

SAY: Final = "say"
"""`what` of the notice that reports the outcome of an announcement."""
SAY_SPOKEN: Final = "say_spoken"
"""`what` of the private notice that an announcement was spoken completely."""
_DROPPED_KEPT: Final = 16


class Outcome(StrEnum):
    SPOKEN = "spoken"
    """Spoken and heard completely."""
    INTERRUPTED = "interrupted"
    """The caller interrupted it."""
    REPLACED = "replaced"
    """An announcement with `interrupt` replaced it."""
    FAILED = "failed"
    """The voice service did not speak it."""
    CALL_ENDED = "call_ended"


class Report(msgspec.Struct, frozen=True):
    """Detail of a `SAY` or `SAY_SPOKEN` notice."""

    say_id: str
    outcome: Outcome
    characters: int


class AnnouncementQueue:
    """The announcements of one call. `said` and `transcript`: the progress of the previous relay, in the call's record
    and in its notices.
    """

    def __init__(
        self,
        language: str,
        speech: AgentSpeech,
        clock: WallClock,
        said: str = "",
        transcript: Iterable[TranscriptEntry] = (),
    ) -> None:
        self.said = said
        self._language = language
        self._speech = speech
        self._clock = clock
        self._waiting: deque[Announcement] = deque()
        self._hearing: list[Announcement] = []
        """Announcements that were spoken completely, but perhaps not heard completely."""
        self._unreported: list[Report] = []
        """Announcements that the previous relay spoke completely without reporting the outcome."""
        self._finished: set[str] = set()
        """Ids of announcements that the previous relay spoke completely or dropped."""
        self._dropped: deque[str] = deque(maxlen=_DROPPED_KEPT)
        self._newest_entry = ""
        for entry in transcript:
            if isinstance(entry, Notice) and entry.what in (SAY, SAY_SPOKEN):
                report = report_of(entry)
                self._finished.add(report.say_id)
                self._unreported = [one for one in self._unreported if one.say_id != report.say_id]
                if entry.what == SAY_SPOKEN:
                    self._unreported.append(report)

    @property
    def empty(self) -> bool:
        return not self._waiting and not self._hearing and not self._unreported

    @property
    def first(self) -> Announcement | None:
        return self._waiting[0] if self._waiting else None

    @property
    def ready(self) -> bool:
        return any(waiting.ready for waiting in self._waiting)

    @property
    def begun(self) -> bool:
        """Whether something was spoken that the caller may not have heard completely."""
        return bool(self._hearing or self._unreported) or any(one.begun for one in self._waiting)

    @property
    def _all(self) -> list[Announcement]:
        return [*self._hearing, *self._waiting]

    def of(self, say_id: str) -> list[Announcement]:
        """Return the announcement with this id, unless it was heard completely or dropped."""
        return [one for one in self._all if one.say_id == say_id]

    def was_dropped(self, say_id: str) -> bool:
        """Return whether one of the latest announcements was dropped before the caller had heard it completely."""
        return say_id in self._dropped

    # -- text arrives
    def add(self, entry_id: str, piece: Say, now: float) -> bool:
        """Add a piece of text. Return whether it begins an announcement that interrupts all earlier ones."""
        self._newest_entry = entry_id
        known = next((one for one in self._waiting if one.say_id == piece.say_id), None)
        if known is not None:
            known.add(entry_id, piece, now)
            return False
        announcement = self._begin(piece)
        if announcement is None:
            return False
        self._waiting.append(announcement)
        announcement.add(entry_id, piece, now)
        return piece.interrupt and not announcement.begun

    def _begin(self, piece: Say) -> Announcement | None:
        """Create the announcement for its first piece; None if the text was already spoken or dropped."""
        said_id, _, characters = self.said.rpartition(":")
        spoken_characters = int(characters) if said_id == piece.say_id and characters.isdigit() else 0
        known = piece.say_id in self._dropped or any(one.say_id == piece.say_id for one in self._hearing)
        if known or piece.say_id in self._finished or piece.at > spoken_characters:
            return None
        return Announcement(piece.say_id, self._language, spoken_characters)

    # -- text is spoken and heard
    def finish_first(self, now: float) -> list[Command]:
        """Handle that the first announcement was spoken completely."""
        spoken = self._waiting.popleft()
        self._hearing.append(spoken)
        # The record comes first, because the mark allows the text to be deleted from the stream.
        recorded = self.settle(now) or [self._report(spoken, Outcome.SPOKEN, now, SAY_SPOKEN)]
        return [*recorded, self.mark()]

    def settle(self, now: float) -> list[Command]:
        """Report the announcements that were heard completely."""
        heard = [one for one in self._hearing if not one.ready and self._speech.settled(one.response_ids)]
        self._hearing = [one for one in self._hearing if one not in heard]
        reports = self._report_unreported(Outcome.SPOKEN, now) if self._speech.settled((PREVIOUS_OWNERS,)) else []
        return reports + [self._report(one, Outcome.SPOKEN, now) for one in heard]

    def was_heard(self, response_id: str) -> None:
        for announcement in self._all:
            announcement.heard = announcement.heard or response_id in announcement.responses

    def check_heard(self) -> None:
        """Record which announcements the caller has heard in part. Call it before audio is cleared."""
        for announcement in self._all:
            announcement.heard = announcement.heard or not all(map(self._speech.untouched, announcement.response_ids))

    def take_back(self, unheard: Callable[[str], bool]) -> None:
        """Queue the sentences again that were not heard completely. `unheard` checks a response id."""
        for announcement in self._all:
            announcement.take_back(unheard)

    def speak_rest(self) -> None:
        again = [one for one in self._hearing if one.ready]
        self._hearing = [one for one in self._hearing if not one.ready]
        self._waiting.extendleft(reversed(again))

    def speaks(self) -> set[str]:
        return {response_id for one in self._all for response_id in one.response_ids}

    # -- text is dropped
    def drop(self, unwanted: Iterable[Announcement], outcome: Outcome, now: float) -> list[Command]:
        gone = list(unwanted)
        if not gone:
            return []
        self._dropped += [one.say_id for one in gone]
        self._hearing = [one for one in self._hearing if one not in gone]
        self._waiting = deque(one for one in self._waiting if one not in gone)
        return [*(self._report(one, outcome, now) for one in gone), self.mark()]

    def drop_replaced(self, now: float) -> list[Command]:
        """Drop all announcements except the newest."""
        return self._report_unreported(Outcome.REPLACED, now) + self.drop(self._all[:-1], Outcome.REPLACED, now)

    def drop_interrupted(self, now: float) -> list[Command]:
        """Drop the announcements that the caller has heard in part."""
        heard = [one for one in self._waiting if one.heard]
        for one in self._waiting:
            one.begun = one.heard
        unreported = self._report_unreported(Outcome.INTERRUPTED, now)
        return unreported + self.drop([*self._hearing, *heard], Outcome.INTERRUPTED, now)

    def call_ended(self, now: float) -> list[Command]:
        reports = [self._report(one, Outcome.CALL_ENDED, now) for one in self._all]
        self._hearing.clear()
        self._waiting.clear()
        return self._report_unreported(Outcome.CALL_ENDED, now) + reports

    def call_left(self, now: float) -> list[Command]:
        """Report the announcements whose audio is still being played. They count as spoken, because the audio is played
        to its end. The next relay speaks the waiting ones.
        """
        reports = [self._report(one, Outcome.SPOKEN, now) for one in self._hearing]
        self._hearing.clear()
        return self._report_unreported(Outcome.SPOKEN, now) + reports

    # -- records
    def _report(self, one: Announcement, outcome: Outcome, now: float, what: str = SAY) -> Command:
        return self._notice(Report(one.say_id, outcome, one.spoken), now, what)

    def _report_unreported(self, outcome: Outcome, now: float) -> list[Command]:
        reports, self._unreported = self._unreported, []
        return [self._notice(msgspec.structs.replace(report, outcome=outcome), now, SAY) for report in reports]

    def _notice(self, report: Report, now: float, what: str) -> Command:
        detail = msgspec.json.encode(report).decode()
        return self._clock.notice(what, detail, now, private=what == SAY_SPOKEN)

    def mark(self) -> Command:
        first = self.first
        self.said = f"{first.say_id}:{first.spoken}" if first is not None and first.spoken else ""
        oldest = (one.oldest_entry for one in self._waiting)
        keep_from = min((entry for entry in oldest if entry), key=_order, default=_after(self._newest_entry))
        return MarkSaid(self.said, " ".join(self._dropped), keep_from)


def report_of(notice: Notice) -> Report:
    return msgspec.json.decode(notice.detail, type=Report)


def _order(entry_id: str) -> tuple[int, int]:
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number or 0)


def _after(entry_id: str) -> str:
    """Return the lowest entry id that is greater than this one."""
    if not entry_id:
        return ""
    ms, number = _order(entry_id)
    return f"{ms}-{number + 1}"
