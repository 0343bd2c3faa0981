"""Whether a sender keeps to real time, give or take what a network does."""

from __future__ import annotations

from typing import Final

FASTEST: Final = 4.0
"""Seconds of sound per second that may come for any length of time."""
BURST_S: Final = 10.0
"""Sound that may come at once: what the network held back during a stall."""


class Pace:
    """A bucket that fills with the length of each message and drains at `FASTEST` times real time."""

    def __init__(self, now: float) -> None:
        self._level_s = 0.0
        self._seen_at = now

    def keeps(self, length_s: float, now: float) -> bool:
        """Count a message of this length; False when far more than real time has come for long."""
        drained = (now - self._seen_at) * FASTEST
        self._seen_at = now
        self._level_s = max(0.0, self._level_s - drained) + length_s
        return self._level_s <= BURST_S
