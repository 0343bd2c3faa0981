"""What the caller says: when it began, whether it is answered, and its text, which comes late or never."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent_relay.core.commands import Command, Record
from agent_relay.core.history import History
from agent_relay.core.voice_live import UserTranscript, UserTranscriptFailed
from bridge_common.entries import Notice, Turn

_KEPT: Final = 32


class CallerSpeech:
    def __init__(self, history: History, *, unix_ms: Callable[[float], int]) -> None:
        self.speaks = False
        self.unanswered = ""
        """Item of the last say until a response begins."""
        self._history = history
        self._unix_ms = unix_ms
        self._began_at: dict[str, float] = {}

    @property
    def waits(self) -> bool:
        """For the end of their own say, or for an answer: whoever takes the call over needs to hear it."""
        return self.speaks or bool(self.unanswered)

    def started(self, item_id: str, now: float) -> None:
        self.speaks = True
        self._began_at[item_id] = now
        if len(self._began_at) > _KEPT:
            del self._began_at[next(iter(self._began_at))]
        self._history.caller(item_id)

    def stopped(self, item_id: str) -> None:
        self.speaks = False
        self.unanswered = item_id

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
