"""The keys that the caller presses, collected until they are complete: by the end key, a pause, or their number."""

from __future__ import annotations

from agent_relay.core.protocol.keypad_profile import KeypadProfile


class KeyEntry:
    """One key entry after the other. `next_at`: when the pause after the latest key is over (monotonic seconds); None
    if no key was pressed since.
    """

    def __init__(self, profile: KeypadProfile) -> None:
        self.keys = ""
        self.began_at = 0.0
        self.next_at: float | None = None
        self._end_key = profile.end_key
        self._pause_s = profile.pause_s
        self._full_until = float("-inf")
        """Until then, an end key belongs to the entry that was complete by its number of keys."""

    def press(self, tone: str, most: int, now: float) -> bool:
        """Add a key. Return whether the entry is complete. `most`: number of keys that complete it."""
        ends = tone == self._end_key
        if ends and not self.keys and now < self._full_until:
            self._full_until = float("-inf")
            return False
        if not self.keys:
            self.began_at = now
        self.keys += tone
        full = len(self.keys) >= most
        if full and not ends:
            self._full_until = now + self._pause_s
        self.next_at = now + self._pause_s
        return ends or full

    def paused(self, now: float) -> bool:
        """Return True once when the pause after the latest key is over."""
        if self.next_at is None or now < self.next_at:
            return False
        self.next_at = None
        return True

    def restart(self, now: float) -> None:
        """Drop the keys, because the caller corrects them."""
        self.keys, self.next_at = "", now + self._pause_s

    def take(self) -> str:
        """Remove and return the keys."""
        keys, self.keys, self.next_at = self.keys, "", None
        return keys
