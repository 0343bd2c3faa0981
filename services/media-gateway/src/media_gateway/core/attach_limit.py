"""How often a call may get another media socket: each one displaces the one before. Pure: `now` in seconds.

ACS opens one socket for each call, and another one when it has lost it.
"""

from __future__ import annotations

from typing import Final

BURST: Final = 8
"""Sockets of one call at once."""
PER_S: Final = 1.0
"""And in each second after that."""
_MOST_CALLS: Final = 1000
"""Beyond this many calls those that have all their sockets back are forgotten."""


class AttachLimit:
    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}
        """By call: the sockets that it may still have, and when that was."""

    def __len__(self) -> int:
        return len(self._left)

    def take(self, call_id: str, now: float) -> bool:
        """Whether this call may have another socket now; if so, it counts."""
        left = self._now(call_id, now)
        if left < 1:
            return False
        if call_id not in self._left and len(self._left) >= _MOST_CALLS:
            self._left = {one: entry for one, entry in self._left.items() if self._now(one, now) < BURST}
        self._left[call_id] = (left - 1, now)
        return True

    def _now(self, call_id: str, now: float) -> float:
        left, at = self._left.get(call_id, (float(BURST), now))
        return min(float(BURST), left + (now - at) * PER_S)
