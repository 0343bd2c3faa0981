"""Selects the participants whose audio the agent hears, by their ACS ids. No I/O; `now` in seconds.

The documentation of ACS leaves open which ids occur in a call with several people, whether a participant who does not
speak has frames, and whether the application gets its own audio back. Each of these forms is accepted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bridge_common.wire.call_record import Participant
from bridge_common.wire.raw_ids import is_application

ALL: Final = "all"
OTHERS: Final = "others"
"""Values of `Listen.to`: everyone; everyone but the caller."""
CALLER: Final = ""
"""Source of the caller's audio, and the id in frames without an id."""
MOST_SPEAKERS: Final = 8
"""Maximum participants with frames in `SPEAKING_S`. ACS sends at most four dominant speakers."""
SPEAKING_S: Final = 1.0
"""A participant without frames for this time does not count as a speaker."""
STRANGER_S: Final = 5.0
"""An unknown id is looked up in the call's record for this time; after it the id counts as our own."""


class Speakers:
    """The participants of one media socket. At first the agent hears the caller."""

    def __init__(self, caller: str, others: Iterable[Participant] = (), *, mixed: bool = False) -> None:
        """Create the selection. `others`: see `know`. `mixed`: each frame contains the audio of all participants, and
        its id is ignored.
        """
        self.mixed = mixed
        self.several = False
        """Whether more than one person has been in the call."""
        self._caller = caller.casefold()
        self._caller_seen = False
        self._to = ""
        self._others = frozenset[str]()
        self._people: set[str] = set()
        self._speaking: dict[str, float] = {}
        """Time of the latest frame, by id."""
        self._strangers: dict[str, float] = {}
        """Time of the first frame of ids that may be our own."""
        self._selected = False
        """Whether the selection has changed since the last `know`."""
        self.know(others)

    def listen(self, to: str) -> None:
        """Select whom the agent hears: `ALL`, `OTHERS`, or only the caller with any other value."""
        self._to = to
        # Without the caller, the audio has pauses, which the slots fill.
        self.several |= to == OTHERS and not self.mixed
        self._strangers.clear()
        self._selected = True

    def know(self, others: Iterable[Participant]) -> None:
        """Replace the other people in the call's record."""
        people = list(others)
        self._others = frozenset(one.raw_id.casefold() for one in people)
        self._strangers = {one: at for one, at in self._strangers.items() if one not in self._others}
        self._selected = False
        self.several |= not self.mixed and any(one.joined for one in people)

    def lookup_due(self, now: float) -> bool:
        """Whether `know` should be called with a newer record: an id is unknown, or the selection has changed, as when
        people join.
        """
        return self._selected or any(now - since_s < STRANGER_S for since_s in self._strangers.values())

    def count(self, now: float) -> int:
        """Return how many participants have frames at this time, at least 1."""
        return max(1, sum(now - at < SPEAKING_S for at in self._speaking.values()))

    def source_of(self, raw_id: str, now: float) -> str | None:
        """Count a frame, and return the source to which its audio belongs. None: the agent does not hear it."""
        if self.mixed:
            return CALLER
        one = raw_id.casefold()
        if not self._admit(one, now) or self._is_ours(one, now):
            return None
        if one == self._caller:
            self._caller_seen = True
            one = CALLER
        if not self.several:
            self._people.add(one)
            self.several = len(self._people) > 1
        if self._to == ALL:
            return one
        # Until the caller's id has occurred, an unknown id may be another notation of it.
        is_other = one in self._others or (self._caller_seen and one != CALLER)
        return one if is_other is (self._to == OTHERS) else None

    def _admit(self, one: str, now: float) -> bool:
        """Record the time of a frame. Returns False if there are too many speakers."""
        if one not in self._speaking and len(self._speaking) >= MOST_SPEAKERS:
            self._speaking = {other: at for other, at in self._speaking.items() if now - at < SPEAKING_S}
            if len(self._speaking) >= MOST_SPEAKERS:
                return False
        self._speaking[one] = now
        return True

    def _is_ours(self, one: str, now: float) -> bool:
        """Whether the id is our own, or may be until the record is known. Without a caller in the record, the caller
        may have such an id.
        """
        if not is_application(one) or one in self._others or self._caller in ("", one):
            return False
        if len(self._strangers) < MOST_SPEAKERS:
            self._strangers.setdefault(one, now)
        return True
