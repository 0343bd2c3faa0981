"""Counts incoming calls against their limits, for all replicas together, by the clock of Redis."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from bridge_common.base.errors import OutsideError
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.redis.clients import redis_errors
from bridge_common.redis.scripts import load_script
from bridge_common.wire.entries import IncomingCall
from call_control.core.policy.ring_limits import Limit, RingLimits

log = logging.getLogger(__name__)

WINDOW_MS: Final = 60_000
_PAUSE_S: Final = 1.0
"""While Redis is unavailable, at most one call in this time waits for it."""


@dataclass(frozen=True, slots=True)
class Exceeded:
    limit: Limit
    most: int
    first: bool
    """Whether this is the first call above the limit in the last minute."""


class RingCounter:
    def __init__(self, redis: Redis, limits: RingLimits) -> None:
        self.limits = limits
        self._admit = redis.register_script(load_script("call_control.routing", "ring_admit"))
        self._outage = OutageLogger(
            log,
            begun="failed to count incoming calls; limits suspended",
            over="counting of incoming calls recovered",
        )
        self._pause_until = float("-inf")

    async def exceeded(self, call: IncomingCall) -> Exceeded | None:
        """Return the limit that the call exceeds. `None`: it is within all limits and counted; a repeated call counts
        once.

        While Redis is unavailable the limits do not apply: they must not cause an outage themselves.
        """
        limits = self.limits.of(call.caller)
        if not limits or time.monotonic() < self._pause_until:
            return None
        try:
            which, first = await self._count(call, limits)
        except OutsideError as error:
            self._pause_until = time.monotonic() + _PAUSE_S
            self._outage.failed(reason=error.message)
            return None
        self._outage.worked()
        if not which:
            return None
        limit = list(limits)[which - 1]
        return Exceeded(limit, limits[limit], first=bool(first))

    async def _count(self, call: IncomingCall, limits: dict[Limit, int]) -> tuple[int, int]:
        buckets = [ring_bucket(limit, call.caller if limit is Limit.CALLER else "") for limit in limits]
        keys = [key for bucket in buckets for key in (bucket, ring_reported(bucket))]
        async with redis_errors("counting an incoming call"):
            which, first = await self._admit(keys=keys, args=[call.call_id, WINDOW_MS, *limits.values()])
        return int(which), int(first)


def ring_bucket(limit: str, caller: str = "") -> str:
    """Return the key of the calls counted against a limit in the last minute. `caller`: raw id, for a limit per caller.

    All buckets are in one slot. The digest limits the length of the key: a raw id comes from an untrusted event.
    """
    owner = f":{hashlib.sha256(caller.lower().encode()).hexdigest()[:32]}" if caller else ""
    return f"quota:{{rings}}:{limit}{owner}"


def ring_reported(bucket: str) -> str:
    """Return the key that exists for a minute after a log line reported the bucket as full."""
    return f"{bucket}:reported"
