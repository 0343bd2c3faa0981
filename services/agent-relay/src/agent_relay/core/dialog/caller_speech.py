"""Caller speech: when it began, whether it is answered, and its transcript, which may arrive late or never."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent_relay.core.dialog.conversation_commands import Command, Record, WallClock
from agent_relay.core.dialog.history import History
from agent_relay.core.protocol.voice_events import UserTranscript, UserTranscriptFailed
from bridge_common.wire.entries import Turn

_KEPT: Final = 32
LONGEST_S: Final = 60.0
"""If the service does not report the end of the caller's speech within this time, the speech counts as ended."""


@dataclass(slots=True)
class _Speech:
    began_at: float
    began: bool = False
    stopped: bool = False
    failed: bool = False
    transcribed: bool = False


class CallerSpeech:
    """The caller's speech in one call. The service may deliver any event twice, but each speech begins, ends and
    becomes a turn only once.
    """

    def __init__(self, history: History, clock: WallClock) -> None:
        self.speaks = False
        self.unanswered = ""
        """Item id of the latest speech until a response begins."""
        self._history = history
        self._clock = clock
        self._speeches: dict[str, _Speech] = {}
        """Recent speeches by item id, oldest first."""
        self.item_id = ""
        """Item id of the current or the latest speech."""
        self._since = 0.0

    @property
    def over_at(self) -> float | None:
        return self._since + LONGEST_S if self.speaks else None

    @property
    def waits(self) -> bool:
        """Whether the caller is still speaking or waits for an answer, so that the next relay needs the audio of this
        speech.
        """
        return self.speaks or bool(self.unanswered)

    def started(self, item_id: str, now: float) -> bool:
        """Record the start of a speech. Return False if it has already begun or ended."""
        speech = self._speech(item_id, now)
        if speech.began or speech.stopped:
            return False
        speech.began = self.speaks = True
        self.item_id, self._since = item_id, now
        if not speech.transcribed:
            self._history.caller(item_id)
        return True

    def stopped(self, item_id: str, now: float) -> bool:
        """Record the end of a speech. Return False if it has already ended."""
        speech = self._speech(item_id, now)
        if speech.stopped:
            return False
        speech.stopped = True
        if not speech.began:
            self.item_id = item_id
        self.speaks = False
        self.unanswered = item_id
        return True

    def forget(self, item_id: str) -> None:
        """Expect no answer to this speech, because it was only noise."""
        if self.unanswered == item_id:
            self.unanswered = ""

    def session_lost(self) -> None:
        """End the current speech, because the lost session cannot report its end."""
        self.speaks = False

    def knows(self, item_id: str) -> bool:
        """Return whether this is one of the caller's recent speeches."""
        return item_id in self._speeches

    def transcript(self, event: UserTranscript | UserTranscriptFailed, now: float) -> list[Command]:
        """Record the transcript of a speech, or its failure. A transcript may follow a failure; later events are
        duplicates.
        """
        speech = self._speech(event.item_id, now)
        if speech.transcribed:
            return []
        if isinstance(event, UserTranscriptFailed):
            if speech.failed:
                return []
            speech.failed = True
            return [self._clock.notice("not_transcribed", event.message, now)]
        text = event.text.strip()
        if not text:
            return []
        speech.transcribed = True
        self._history.caller(event.item_id, text)
        return [Record(Turn("caller", event.item_id, text, self._clock.unix_ms(speech.began_at)))]

    def _speech(self, item_id: str, now: float) -> _Speech:
        speech = self._speeches.get(item_id)
        if speech is None:
            speech = self._speeches[item_id] = _Speech(now)
            if len(self._speeches) > _KEPT:
                del self._speeches[next(iter(self._speeches))]
        return speech

    def take_unanswered(self) -> str:
        unanswered, self.unanswered = self.unanswered, ""
        return unanswered
