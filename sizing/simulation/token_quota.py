"""The quota of new connections, by the rules of `agent_relay.voice.connection_quota` and of its Redis scripts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Final

from agent_relay.voice.connection_quota import BACK_AFTER_MS, Urgency

BACK_AFTER_S: Final = BACK_AFTER_MS / 1000


@dataclass(frozen=True, slots=True)
class Taken:
    resource: int | None
    """Index of the resource, None if no resource has a connection left."""
    wait_s: float = 0.0
    """Time until the first resource may have a connection."""


class TokenQuota:
    """Connections of several resources, used in order."""

    def __init__(self, resources: int, per_min: int) -> None:
        self._back_at: list[deque[float]] = [deque() for _ in range(resources)]
        """Times at which the tokens in use return, earliest first."""
        self._most = {urgency: max(1, int(per_min * urgency.value)) for urgency in Urgency}

    def take(self, now: float, urgency: Urgency, begun_on: int | None = None) -> Taken:
        """Take a token of the first resource that has one. `begun_on`: the resource that is tried first."""
        most, wait_s = self._most[urgency], inf
        for resource in self._order(begun_on):
            back_at = self._in_use(now, resource)
            surplus = len(back_at) - most
            if surplus < 0:
                back_at.append(now + BACK_AFTER_S)
                return Taken(resource)
            wait_s = min(wait_s, back_at[surplus] - now)
        return Taken(None, max(wait_s, 0.001))

    def free(self, now: float, resource: int, urgency: Urgency) -> int:
        return max(0, self._most[urgency] - len(self._in_use(now, resource)))

    def in_use(self, now: float) -> int:
        return sum(len(self._in_use(now, resource)) for resource in range(len(self._back_at)))

    def _order(self, begun_on: int | None) -> Iterable[int]:
        if begun_on is None:
            return range(len(self._back_at))
        return (begun_on, *(one for one in range(len(self._back_at)) if one != begun_on))

    def _in_use(self, now: float, resource: int) -> deque[float]:
        back_at = self._back_at[resource]
        while back_at and back_at[0] <= now:
            back_at.popleft()
        return back_at
