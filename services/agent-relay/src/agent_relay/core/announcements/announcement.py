"""An announcement: a text that an operator sends in pieces, and how far it was spoken and heard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from agent_relay.core.announcements.sentences import Sentence, SentenceCutter
from bridge_common.wire.entries import Say

STOP_PAUSE_S: Final = 0.4
"""If no text arrives for this time, waiting text that looks like a complete sentence is spoken."""
PAUSE_S: Final = 2.0
"""If no text arrives for this time, an incomplete sentence is spoken, provided that the caller hears nothing else."""
GONE_S: Final = 20.0
"""If no text arrives for this time, the writer counts as gone and the text as complete."""


class Announcement:
    """One announcement: its text and its progress. `spoken`: number of leading characters that the previous relay
    spoke.
    """

    def __init__(self, say_id: str, language: str, spoken: int = 0) -> None:
        self.say_id = say_id
        self.spoken = spoken
        self.whole = False
        """Whether the text is complete."""
        self.begun = spoken > 0
        """Whether part of it was spoken or requested."""
        self.heard = spoken > 0
        self.responses: set[str] = set()
        """Ids of all responses that spoke parts of it."""
        self._spoken: list[tuple[str, int, Sentence]] = []
        """For each spoken sentence: its response id, and the position in the text before it."""
        self._failures = 0
        """Number of failed attempts to speak the current sentence."""
        self._cutter = SentenceCutter(language, spoken)
        self._received = 0
        self._sentences: deque[Sentence] = deque()
        self._entries: deque[tuple[str, int]] = deque()
        """For each piece: its entry id, and its end position in the text."""
        self._text_at = 0.0

    def add(self, entry_id: str, piece: Say, now: float) -> None:
        """Add a piece of text. Pieces arrive in order; a repeated piece is ignored."""
        if self.whole or piece.at < self._received:
            return
        text = piece.text[max(self.spoken - piece.at, 0) :]
        self._received = piece.at + len(piece.text)
        self._entries.append((entry_id, self._received))
        self._text_at = now
        self._sentences += self._cutter.feed(text)
        if piece.last:
            self._end()

    def _end(self) -> None:
        self.whole = True
        self._sentences += self._cutter.flush()

    def look(self, now: float, *, silent: bool) -> None:
        """Make waiting text ready to speak, or mark the text as complete, if no text has arrived for long enough.
        `silent`: the caller hears nothing.
        """
        due_at = self.next_at(silent=silent)
        if due_at is None or now < due_at:
            return
        if now >= self._text_at + GONE_S:
            self._end()
        else:
            self._sentences += self._cutter.flush()

    def next_at(self, *, silent: bool) -> float | None:
        if self.whole or self._sentences:
            return None
        if not self._cutter.waiting:
            return self._text_at + GONE_S
        if self._cutter.at_stop:
            return self._text_at + STOP_PAUSE_S
        return self._text_at + (PAUSE_S if silent else GONE_S)

    @property
    def ready(self) -> bool:
        return bool(self._sentences)

    def take(self) -> Sentence | None:
        if not self._sentences:
            return None
        self.begun = True
        return self._sentences.popleft()

    def put_back(self, sentence: Sentence) -> None:
        self._sentences.appendleft(sentence)

    def failed(self) -> int:
        """Count a failed attempt to speak the current sentence. Return the number of failed attempts."""
        self._failures += 1
        return self._failures

    def was_heard(self) -> None:
        self.heard = True

    def was_spoken(self, sentence: Sentence, response_id: str) -> None:
        self._spoken.append((response_id, self.spoken, sentence))
        self.responses.add(response_id)
        self.spoken = sentence.end
        self._failures = 0

    @property
    def response_ids(self) -> list[str]:
        """Ids of the responses that spoke its sentences, except interrupted sentences."""
        return [response_id for response_id, _, _ in self._spoken]

    def take_back(self, unheard: Callable[[str], bool]) -> None:
        """Queue the last sentences again if they were not heard completely. `unheard` checks a response id."""
        while self._spoken and unheard(self._spoken[-1][0]):
            _, self.spoken, sentence = self._spoken.pop()
            self._sentences.appendleft(sentence)

    @property
    def oldest_entry(self) -> str:
        """Entry id of the oldest piece that the next relay needs: the first with unspoken text, else the last piece."""
        while len(self._entries) > 1 and self._entries[0][1] <= self.spoken:
            self._entries.popleft()
        return self._entries[0][0] if self._entries else ""
