"""Limits on the data that a peer may send, and on how often a call may be attached. No I/O; `now` in seconds."""

from __future__ import annotations

from typing import Final

FASTEST: Final = 4.0
"""Maximum seconds of audio per second that are accepted permanently."""
BURST_S: Final = 10.0
"""Maximum seconds of audio that may arrive at once, after a stall of the network."""

BURST: Final = 8
"""Maximum media sockets of one call that are accepted in a row."""
PER_S: Final = 1.0
"""Maximum media sockets of one call that are accepted each second after that."""
MOST_CALLS: Final = 1000
"""Maximum stored buckets. With more calls, calls with a full bucket are removed."""


class Pace:
    """A leaky bucket: filled by the length of each message, drained at `FASTEST` times real time.

    `speakers`: number of participants who send audio at the same time; each may use the limits.
    """

    def __init__(self, now: float) -> None:
        self.speakers = 1
        self._level_s = 0.0
        self._seen_at = now

    def keeps(self, length_s: float, now: float) -> bool:
        """Count a message of this length. Returns False if the bucket overflows."""
        drained = (now - self._seen_at) * FASTEST
        self._seen_at = now
        self._level_s = max(0.0, self._level_s - drained) + length_s / self.speakers
        return self._level_s <= BURST_S


class AttachLimit:
    """A token bucket for each call. ACS opens one media socket per call, and another one after a lost connection."""

    def __init__(self, per_s: float = PER_S) -> None:
        self._per_s = per_s
        self._buckets: dict[str, tuple[float, float]] = {}
        """Tokens left and time of that state, by call."""

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, call_id: str, now: float) -> bool:
        """Take a token for another media socket of the call. Returns False if there is none."""
        left = self._left(call_id, now)
        if left < 1:
            return False
        if call_id not in self._buckets and len(self._buckets) >= MOST_CALLS:
            self._buckets = {one: bucket for one, bucket in self._buckets.items() if self._left(one, now) < BURST}
        self._buckets[call_id] = (left - 1, now)
        return True

    def _left(self, call_id: str, now: float) -> float:
        left, at = self._buckets.get(call_id, (float(BURST), now))
        return min(float(BURST), left + (now - at) * self._per_s)
