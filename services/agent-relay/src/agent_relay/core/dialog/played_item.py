"""An output item of the agent: its generated and its heard audio, and its text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge_common.wire.audio import VOICE_RATE_HZ, bytes_of_ms, ms_of_bytes
from bridge_common.wire.entries import Saying, Turn


@dataclass(slots=True)
class PlayedItem:
    """An output item of the agent, from its first event until its turn is written to the transcript."""

    item_id: str
    response_id: str
    session: int
    """Number of the voice session that created it: an item of a lost session cannot be truncated."""
    begun_at: float
    first_delta_at: float | None = None
    speech_end_at: float | None = None
    """When the caller's speech ended that this item answers; None if the item is not an answer (for example a
    greeting).
    """
    first_frame_at: float | None = None
    generated_bytes: int = 0
    content_index: int = 0
    """Index of the content part of the latest audio."""
    parts: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    """Content index and first byte of each part with audio, in playout order."""
    half: bytes = b""
    """Half a sample at the end of a delta; the next delta of the same part completes it."""
    text: str = ""
    """Text of all parts."""
    texts: dict[int, str] = field(default_factory=dict)
    """Text of each part, by content index."""
    unfinished: set[int] = field(default_factory=set)
    """Parts whose text is not complete."""
    text_whole: bool = False
    audio_whole: bool = False
    cleared: bool = False
    noted: bool = False
    """Whether its text is recorded for the next relay."""
    heard_ms: int | None = None
    """Milliseconds that the caller heard; None until the playout is reported or estimated."""
    settle_at: float | None = None
    """When its playout is estimated if there is no report; None if a report is certain."""
    complete: bool = False

    @property
    def generated_ms(self) -> int:
        return int(ms_of_bytes(self.generated_bytes, VOICE_RATE_HZ))

    def add_audio(self, pcm: bytes, content_index: int) -> bytes:
        """Add audio of a content part. Return the whole samples that can be played now."""
        if content_index != self.content_index:
            self._begin_part(content_index)
        if self.half or len(pcm) & 1:
            pcm = self.half + pcm
            whole = len(pcm) & ~1
            self.half, pcm = pcm[whole:], pcm[:whole]
        self.generated_bytes += len(pcm)
        return pcm

    def _begin_part(self, content_index: int) -> None:
        self.content_index, self.half = content_index, b""
        part = (content_index, self.generated_bytes)
        self.parts = [*self.parts, part] if self.generated_bytes else [part]

    def add_text(self, text: str, content_index: int, *, whole: bool) -> None:
        """Add text of a content part. `whole`: `text` replaces the part's text instead of extending it."""
        self.texts[content_index] = text if whole else self.texts.get(content_index, "") + text
        if whole:
            self.unfinished.discard(content_index)
        else:
            self.unfinished.add(content_index)
        self.text_whole = not self.unfinished
        self.text = _joined(self.texts[index] for index in sorted(self.texts))

    def latency_ms(self, at: float | None) -> int:
        """Return the time from the end of the caller's speech to `at`; -1 if either is unknown."""
        return -1 if at is None or self.speech_end_at is None else round((at - self.speech_end_at) * 1000)

    def truncation_ms(self) -> int:
        """Return the position at which to truncate: at most the generated duration, because Voice Live rejects a later
        one.
        """
        return min(self.heard_ms or 0, self.generated_ms)

    def truncations(self) -> list[tuple[int, int]]:
        """Return content index and end in milliseconds for the part that was heard last, and 0 ms for each
        later part.
        """
        heard_ms = self.truncation_ms()
        begins_ms = [math.ceil(ms_of_bytes(begin, VOICE_RATE_HZ)) for _, begin in self.parts]
        last_heard = max((n for n, begin_ms in enumerate(begins_ms) if begin_ms <= heard_ms), default=0)
        ends_ms = [max(heard_ms - begins_ms[last_heard], 0)] + [0] * (len(self.parts) - last_heard - 1)
        return [(index, end_ms) for (index, _), end_ms in zip(self.parts[last_heard:], ends_ms, strict=True)]

    def heard_text(self) -> str:
        """Return the text that was heard, estimated from the heard share of the audio and cut after a whole word."""
        if self.complete or self.heard_ms is None or self.generated_bytes == 0:
            return self.text
        if len(self.parts) == 1:
            return cut_text(self.text, self.truncation_ms() / max(self.generated_ms, 1))
        heard_bytes = bytes_of_ms(self.truncation_ms(), VOICE_RATE_HZ)
        ends = [begin for _, begin in self.parts[1:]] + [self.generated_bytes]
        shares = {
            i: (heard_bytes - begin) / max(end - begin, 1) for (i, begin), end in zip(self.parts, ends, strict=True)
        }
        return _joined(cut_text(self.texts[index], shares.get(index, 0.0)) for index in sorted(self.texts))

    def estimated_heard_ms(self, now: float) -> int:
        """Estimate the heard duration without a playout report: the time since the first frame was sent."""
        if self.first_frame_at is None:
            return 0
        return min(self.generated_ms, int((now - self.first_frame_at) * 1000))

    def turn(self, at_ms: int) -> Turn:
        return Turn(
            role="agent",
            item_id=self.item_id,
            text=self.heard_text(),
            at_ms=at_ms,
            interrupted=not self.complete,
            heard_ms=self.heard_ms or 0,
            first_delta_ms=self.latency_ms(self.first_delta_at),
            first_frame_ms=self.latency_ms(self.first_frame_at),
        )

    def saying(self, at_ms: int) -> Saying:
        return Saying(self.item_id, self.text, at_ms, self.generated_ms)


def _joined(texts: Iterable[str]) -> str:
    """Join the parts with a space, which the service omits between them."""
    joined = ""
    for text in texts:
        between = "" if not joined or not text or joined[-1].isspace() or text[0].isspace() else " "
        joined += between + text
    return joined


def cut_text(text: str, share: float) -> str:
    if share >= 1:
        return text
    end = int(len(text) * max(share, 0.0))
    if end < len(text) and not text[end].isspace():
        end = max(text.rfind(" ", 0, end), 0)
    return text[:end].rstrip()
