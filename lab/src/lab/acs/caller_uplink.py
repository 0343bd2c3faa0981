"""Audio that the caller sends, in frames of 20 ms: speech, silence or numbered marks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, Protocol

from lab.acs.media_codec import frame_bytes
from lab.marks import MAX_SEQ, encode_mark, mark_base64

Audio = Literal["script", "marks", "silence"]


@dataclass(frozen=True, slots=True)
class CallerSays:
    text: str


@dataclass(frozen=True, slots=True)
class CallerEnds:
    text: str


class CallerUplink(Protocol):
    """Source of the caller's audio. `next_frame` is called every 20 ms; `None` is a frame of silence."""

    def next_frame(self, now: float) -> bytes | None: ...

    def changes(self) -> list[CallerSays | CallerEnds]: ...


class Utterance:
    def __init__(self, pcm: bytes, text: str) -> None:
        self.pcm = pcm
        self.text = text
        self.sent_bytes = 0

    @property
    def finished(self) -> bool:
        return self.sent_bytes >= len(self.pcm)


class Speech:
    """Sends utterances one after the other, and silence between them."""

    def __init__(self, rate_hz: int) -> None:
        self._frame_bytes = frame_bytes(rate_hz)
        self._utterances: deque[Utterance] = deque()
        self._changes: list[CallerSays | CallerEnds] = []
        self._pressed = b""

    def press(self, pcm: bytes) -> None:
        """Queue the sound of a key. It is heard between utterances and is not one."""
        self._pressed += pcm

    def say(self, pcm: bytes, text: str) -> Utterance:
        utterance = Utterance(pcm, text)
        if pcm:
            self._utterances.append(utterance)
        return utterance

    def next_frame(self, now: float) -> bytes | None:
        if not self._utterances:
            frame, self._pressed = self._pressed[: self._frame_bytes], self._pressed[self._frame_bytes :]
            return frame.ljust(self._frame_bytes, b"\0") if frame else None
        utterance = self._utterances[0]
        if not utterance.sent_bytes:
            self._changes.append(CallerSays(utterance.text))
        frame = utterance.pcm[utterance.sent_bytes : utterance.sent_bytes + self._frame_bytes]
        utterance.sent_bytes += len(frame)
        if utterance.finished:
            self._utterances.popleft()
            self._changes.append(CallerEnds(utterance.text))
        return frame.ljust(self._frame_bytes, b"\0")

    def changes(self) -> list[CallerSays | CallerEnds]:
        changes, self._changes = self._changes, []
        return changes


class Marks:
    """Sends a numbered frame every 20 ms, to measure loss, order and delay."""

    def __init__(self, call: int, rate_hz: int) -> None:
        self._call = call
        self._rate_hz = rate_hz
        self._seq = 0
        self.sent: list[tuple[int, float]] = []

    def next_frame(self, now: float) -> bytes:
        frame = encode_mark(self._call, self._seq, self._rate_hz)
        self.was_sent(now)
        return frame

    def next_base64(self) -> bytes:
        """Return the next frame as base64. Call `was_sent` afterwards."""
        return mark_base64(self._call, self._seq, self._rate_hz)

    def was_sent(self, now: float) -> None:
        self.sent.append((self._seq, now))
        self._seq = (self._seq + 1) & MAX_SEQ

    def changes(self) -> list[CallerSays | CallerEnds]:
        return []
