"""Counts ringing calls against their limits, for all replicas together, on Redis's clock."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from bridge_common.base.errors import OutsideError
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.redis.clients import redis_errors
from bridge_common.store import scripts
from bridge_common.wire.entries import IncomingCall
from bridge_common.wire.keys import ring_bucket, ring_reported
from call_control.core.policy.ring_limits import Limit, RingLimits

log = logging.getLogger(__name__)

WINDOW_MS: Final = 60_000
_PAUSE_S: Final = 1.0
"""While Redis fails, only one call in this time waits for it."""


@dataclass(frozen=True, slots=True)
class Exceeded:
    limit: Limit
    most: int
    first: bool
    """No other call was turned away by this limit in the last minute."""


class RingCounter:
    def __init__(self, redis: Redis, limits: RingLimits) -> None:
        self.limits = limits
        self._admit = redis.register_script(scripts.ADMIT_RING)
        self._outage = OutageLogger(log, "counting ringing calls")
        self._pause_until = float("-inf")

    async def exceeded(self, call: IncomingCall) -> Exceeded | None:
        """The limit that the call is above, or None: then it counts. The same call counts once, however often asked.

        Without Redis every call is within the limits: they protect the service and must not end it.
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
        async with redis_errors("counting a ringing call"):
            which, first = await self._admit(keys=keys, args=[call.call_id, WINDOW_MS, *limits.values()])
        return int(which), int(first)
