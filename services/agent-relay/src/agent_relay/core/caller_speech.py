"""What the caller says: when it began, whether it is answered, and its text, which comes late or never."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent_relay.core.commands import Command, Record
from agent_relay.core.history import History
from agent_relay.core.voice_live import UserTranscript, UserTranscriptFailed
from bridge_common.entries import Notice, Turn

_KEPT: Final = 32
LONGEST_S: Final = 60.0
"""A service that has not reported the end of the caller's speech by then has lost it."""


@dataclass(slots=True)
class _Say:
    began_at: float
    began: bool = False
    stopped: bool = False
    failed: bool = False
    told: bool = False


class CallerSpeech:
    """The service may deliver any event twice: each say begins, ends and becomes a turn once."""

    def __init__(self, history: History, *, unix_ms: Callable[[float], int]) -> None:
        self.speaks = False
        self.unanswered = ""
        """Item of the last say until a response begins."""
        self._history = history
        self._unix_ms = unix_ms
        self._says: dict[str, _Say] = {}
        """By item, oldest first."""
        self.item_id = ""
        """Of the current or the last speech."""
        self._since = 0.0

    @property
    def over_at(self) -> float | None:
        """When speech that goes on is taken to have ended."""
        return self._since + LONGEST_S if self.speaks else None

    @property
    def waits(self) -> bool:
        """For the end of their own say, or for an answer: whoever takes the call over needs to hear it."""
        return self.speaks or bool(self.unanswered)

    def started(self, item_id: str, now: float) -> bool:
        """False for a say that has begun or ended already."""
        say = self._say(item_id, now)
        if say.began or say.stopped:
            return False
        say.began = self.speaks = True
        self.item_id, self._since = item_id, now
        if not say.told:
            self._history.caller(item_id)
        return True

    def stopped(self, item_id: str, now: float) -> bool:
        """False for a say that has ended already."""
        say = self._say(item_id, now)
        if say.stopped:
            return False
        say.stopped = True
        if not say.began:
            self.item_id = item_id
        self.speaks = False
        self.unanswered = item_id
        return True

    def forget(self, item_id: str) -> None:
        """It was a noise: no answer is due."""
        if self.unanswered == item_id:
            self.unanswered = ""

    def told(self, event: UserTranscript | UserTranscriptFailed, now: float) -> list[Command]:
        """The text of a say, or why there is none. A text may follow a failure, but nothing follows a text."""
        say = self._say(event.item_id, now)
        if say.told:
            return []
        if isinstance(event, UserTranscriptFailed):
            if say.failed:
                return []
            say.failed = True
            return [Record(Notice("not_transcribed", event.message, self._unix_ms(now)))]
        text = event.text.strip()
        if not text:
            return []
        say.told = True
        self._history.caller(event.item_id, text)
        return [Record(Turn("caller", event.item_id, text, self._unix_ms(say.began_at)))]

    def _say(self, item_id: str, now: float) -> _Say:
        say = self._says.get(item_id)
        if say is None:
            say = self._says[item_id] = _Say(now)
            if len(self._says) > _KEPT:
                del self._says[next(iter(self._says))]
        return say

    def take_unanswered(self) -> str:
        unanswered, self.unanswered = self.unanswered, ""
        return unanswered
