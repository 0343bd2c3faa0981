"""Reports how many connections each Voice Live resource has left, as a metric."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection

from agent_relay import metrics
from agent_relay.voice.connection_quota import ConnectionQuota, Urgency
from bridge_common.base.errors import OutsideError


class QuotaWatch:
    """Reads the quota of the current `resources` every `poll_s`. Every relay reports the same: that of the fleet."""

    def __init__(self, quota: ConnectionQuota, resources: Callable[[], Collection[str]], poll_s: float = 2.0) -> None:
        self._quota = quota
        self._resources = resources
        self._poll_s = poll_s

    async def run(self) -> None:
        """Run until canceled. While Redis is unavailable, the metric keeps its values."""
        while self._quota.per_minute:
            with contextlib.suppress(OutsideError):
                for resource in self._resources():
                    free = await self._quota.free(resource, Urgency.RUNNING)
                    metrics.QUOTA.labels(resource, "limit").set(self._quota.per_minute)
                    metrics.QUOTA.labels(resource, "free").set(free)
            await asyncio.sleep(self._poll_s)
