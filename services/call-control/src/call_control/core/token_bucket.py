"""Rate limits by key: token buckets that refill evenly. Pure: `now` is in monotonic seconds."""

from __future__ import annotations

from collections import OrderedDict


class TokenBucket:
    """A bucket of `size` tokens that refills evenly within `window_s`."""

    def __init__(self, size: int, window_s: float) -> None:
        self._size = size
        self._window_s = window_s
        self._left = float(size)
        self._at = float("-inf")

    def available(self, now: float) -> bool:
        self._left = min(self._left + (now - self._at) * self._size / self._window_s, self._size)
        self._at = now
        return self._left >= 1

    def take(self, now: float) -> bool:
        """Use one token; return whether there was one."""
        if not self.available(now):
            return False
        self._left -= 1
        return True


class TokenBuckets:
    """One bucket for each key; beyond `most` keys the least recently used is evicted."""

    def __init__(self, size: int, window_s: float, most: int = 1000) -> None:
        self._size = size
        self._window_s = window_s
        self._most = most
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float) -> bool:
        return self._bucket(key).take(now)

    def _bucket(self, key: str) -> TokenBucket:
        bucket = self._buckets.setdefault(key, TokenBucket(self._size, self._window_s))
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket
