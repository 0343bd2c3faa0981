"""What the caller says: when it began, whether it is answered, and its text, which comes late or never."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent_relay.core.commands import Command, Record
from agent_relay.core.history import History
from agent_relay.core.voice_live import UserTranscript, UserTranscriptFailed
from bridge_common.entries import Notice, Turn

_KEPT: Final = 32
LONGEST_S: Final = 60.0
"""A service that has not reported the end of the caller's speech by then has lost it."""


class CallerSpeech:
    def __init__(self, history: History, *, unix_ms: Callable[[float], int]) -> None:
        self.speaks = False
        self.unanswered = ""
        """Item of the last say until a response begins."""
        self._history = history
        self._unix_ms = unix_ms
        self._began_at: dict[str, float] = {}
        self.item_id = ""
        """Of the current or the last speech."""
        self._since = 0.0
        self._over = ""
        """The item whose end was noted last."""

    @property
    def over_at(self) -> float | None:
        """When speech that goes on is taken to have ended."""
        return self._since + LONGEST_S if self.speaks else None

    @property
    def waits(self) -> bool:
        """For the end of their own say, or for an answer: whoever takes the call over needs to hear it."""
        return self.speaks or bool(self.unanswered)

    def started(self, item_id: str, now: float) -> None:
        self.speaks = True
        self.item_id, self._since = item_id, now
        self._over = ""
        self._began_at[item_id] = now
        if len(self._began_at) > _KEPT:
            del self._began_at[next(iter(self._began_at))]
        self._history.caller(item_id)

    def stopped(self, item_id: str) -> bool:
        """False when its end was noted before: a service may begin its response first, or repeat itself."""
        self.speaks = False
        if item_id == self._over:
            return False
        self._over = self.unanswered = item_id
        return True

    def forget(self, item_id: str) -> None:
        """It was a noise: no answer is due."""
        if self.unanswered == item_id:
            self.unanswered = ""

    def told(self, event: UserTranscript | UserTranscriptFailed, now: float) -> list[Command]:
        """The text of a say, or why there is none."""
        began_at = self._began_at.pop(event.item_id, now)
        if isinstance(event, UserTranscriptFailed):
            return [Record(Notice("not_transcribed", event.message, self._unix_ms(now)))]
        text = event.text.strip()
        if not text:
            return []
        self._history.caller(event.item_id, text)
        return [Record(Turn("caller", event.item_id, text, self._unix_ms(began_at)))]

    def take_unanswered(self) -> str:
        unanswered, self.unanswered = self.unanswered, ""
        return unanswered
