"""The appended audio of one session and the turns in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.voice_live.audio_formats import decode_append
from lab.voice_live.server_events import RefusedError
from lab.voice_live.turn_config import turn_rules
from lab.voice_live.turn_detection import DetectedSpeechStart, DetectedSpeechStop, TurnDetector, TurnRules


@dataclass
class CallerAudio:
    """The caller's audio. With `turn_detection: null` there is no detector: audio is buffered until it is committed."""

    rate_hz: int = 24_000
    audio_format: str = "pcm16"
    uncommitted_ms: float = 0.0
    turn_start_ms: int = 0
    heard_ms: float = 0.0
    kept: bytearray | None = None
    """Gets all audio, if set."""
    _detector: TurnDetector | None = field(default=None, repr=False)
    _rules: TurnRules | None = None

    def configure(self, session: Mapping[str, object]) -> None:
        """Apply the audio format and turn detection of the session. A change restarts detection, but not its clock."""
        audio_format = str(session.get("input_audio_format"))
        rate = session.get("input_audio_sampling_rate")
        rate_hz = 8_000 if audio_format.startswith("g711") else rate if isinstance(rate, int) else 24_000
        rules = turn_rules(session.get("turn_detection"))
        if (rules, rate_hz, audio_format) == (self._rules, self.rate_hz, self.audio_format):
            return
        self._rules, self.rate_hz, self.audio_format = rules, rate_hz, audio_format
        self._detector = None if rules is None else TurnDetector(rules, rate_hz, heard_ms=int(self.heard_ms))

    @property
    def automatic(self) -> bool:
        return self._detector is not None

    def append(self, audio: object) -> list[DetectedSpeechStart | DetectedSpeechStop]:
        """Return the starts and ends of speech in `audio` (base64). Raises `RefusedError`."""
        pcm = decode_append(audio, self.audio_format)
        ms = len(pcm) / 2 / self.rate_hz * 1000
        self.heard_ms += ms
        self.uncommitted_ms += ms
        if self.kept is not None:
            self.kept += pcm
        return self._detector.feed(pcm) if self._detector is not None else []

    def commit(self) -> int:
        """Commit the buffered audio and return its start in ms of audio time. Raises `RefusedError`."""
        if self.automatic:
            raise RefusedError("input_audio_buffer.commit is not supported with server turn detection")
        if self.uncommitted_ms <= 0:
            text = "Error committing input audio buffer: the buffer is empty."
            raise RefusedError(text, "input_audio_buffer_commit_empty")
        started_ms = int(self.heard_ms - self.uncommitted_ms)
        self.uncommitted_ms = 0.0
        return started_ms

    def clear(self) -> None:
        self.uncommitted_ms = 0.0
        if self._detector is not None:
            self._detector.reset()
