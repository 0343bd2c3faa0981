"""Calculates how much audio the caller has heard: ACS acknowledges nothing, but it plays in order and in real time.

The model: audio that arrives while ACS still plays is appended; audio that arrives after that starts at once. Audio is
heard later than it is sent, by the delay of the resampler.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from bridge_common.wire.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ

_BYTES_PER_S = BYTES_PER_SAMPLE * VOICE_RATE_HZ


@dataclass(slots=True)
class _Span:
    """Audio of one item without a gap."""

    item_id: str
    starts_at: float
    length_bytes: int
    ends_at: float

    def heard_bytes(self, now: float) -> int:
        if now >= self.ends_at:
            return self.length_bytes
        return max(0, int((now - self.starts_at) * VOICE_RATE_HZ)) * BYTES_PER_SAMPLE


class PlayClock:
    """Play position of one call. Times are seconds on the caller's clock, sizes are bytes of 24 kHz PCM."""

    def __init__(self, delay_s: float) -> None:
        self.ends_at = float("-inf")
        """Time at which all audio that was sent will have been played."""
        self._delay_s = delay_s
        self._spans: deque[_Span] = deque()
        self._heard: dict[str, int] = {}

    def sent(self, item_id: str, length_bytes: int, now: float) -> None:
        """Record sent audio. `item_id`: empty for the hold tone."""
        starts_at = max(self.ends_at, now)
        self.ends_at = starts_at + length_bytes / _BYTES_PER_S
        self._advance(now)
        if not item_id:
            return
        heard_from, heard_until = starts_at + self._delay_s, self.ends_at + self._delay_s
        last = self._spans[-1] if self._spans else None
        if last is not None and last.item_id == item_id and abs(last.ends_at - heard_from) < 1e-6:
            last.length_bytes += length_bytes
            last.ends_at = heard_until
        else:
            self._spans.append(_Span(item_id, heard_from, length_bytes, heard_until))

    def sent_rest(self, now: float) -> None:
        """Record that the rest of the audio in the resampler was sent as well."""
        self.ends_at = max(self.ends_at, now) + self._delay_s

    def heard_bytes(self, item_id: str, now: float) -> int:
        self._advance(now)
        return self._heard.get(item_id, 0) + sum(
            span.heard_bytes(now) for span in self._spans if span.item_id == item_id
        )

    def end_of(self, item_id: str) -> float:
        """Return the time at which all audio of the item will have been heard; -inf if it has been heard already."""
        return max((span.ends_at for span in self._spans if span.item_id == item_id), default=float("-inf"))

    def forget(self, item_id: str) -> None:
        self._heard.pop(item_id, None)

    def stopped(self, now: float) -> None:
        """Reset after a clear: the audio that was not heard yet was dropped."""
        self.ends_at = now
        self._spans.clear()
        self._heard.clear()

    def _advance(self, now: float) -> None:
        while self._spans and self._spans[0].ends_at <= now:
            span = self._spans.popleft()
            self._heard[span.item_id] = self._heard.get(span.item_id, 0) + span.length_bytes
