"""Announces the end of a long call, and once more if the caller did not hear it completely."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent_relay.core.announcements.announcement_queue import AnnouncementQueue
from agent_relay.core.dialog.conversation_commands import Command
from agent_relay.core.dialog.instruction_detail import Detail
from bridge_common.wire.entries import Say

_USUAL_S: Final = 60


class TimeLeft:
    """`say` speaks a text as an announcement."""

    def __init__(self, text: str, say: Callable[[Say, float], list[Command]], queue: AnnouncementQueue) -> None:
        self._text = text
        self._say = say
        self._queue = queue
        self._say_id = ""
        """Id of the announcement that may be repeated."""
        self._until = 0.0
        """Later the text would be wrong: half of the announced time is over."""

    def announce(self, instruction_id: str, detail: Detail, now: float) -> list[Command]:
        """Announce the end of the call. `detail`: of the instruction `time_left`."""
        seconds = detail.get("seconds")
        left_s = seconds if isinstance(seconds, int | float) else _USUAL_S
        self._say_id, self._until = f"time_left-{instruction_id}", now + left_s / 2
        return self._say(Say(self._say_id, 0, self._text, last=True), now)

    def advance(self, now: float, *, quiet: bool) -> list[Command]:
        """Return the repetition if it is due. Call it after every event. `quiet`: nobody speaks or is about to."""
        if not quiet or not self._say_id or not self._queue.was_dropped(self._say_id):
            return []
        say_id, self._say_id = f"{self._say_id}-again", ""
        return self._say(Say(say_id, 0, self._text, last=True), now) if now < self._until else []
