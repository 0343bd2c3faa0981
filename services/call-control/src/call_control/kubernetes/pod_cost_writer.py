"""Writes the calls of each gateway and relay into the deletion cost of its pod, so that a scale-down removes the
emptiest pods. One replica of call-control at a time does this.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from redis.asyncio import Redis

from bridge_common.base.errors import GoneError
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.base.retry import Backoff, repeat
from bridge_common.redis.clients import redis_errors
from bridge_common.redis.scripts import load_script
from bridge_common.store.fleet import Fleet
from bridge_common.wire.keys import POD_COSTS
from call_control.core.pod_costs import PodCost, outdated, pod_costs
from call_control.core.token_bucket import TokenBucket
from call_control.kubernetes.pod_api import ApiServer, ConflictingPatchError, PodApi

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CostTiming:
    every_s: float = 5.0
    lease_s: float = 15.0
    patches_per_min: int = 60
    """Limit for requests to the API server."""
    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=5.0, most_s=60.0))


class PodCostWriter:
    """`run` works until it is canceled. Failures are logged as one outage and affect nothing else."""

    def __init__(self, redis: Redis, fleet: Fleet, api: ApiServer, name: str, timing: CostTiming | None = None) -> None:
        self._fleet = fleet
        self._api = api
        self._name = name
        self._timing = timing or CostTiming()
        self._lease = redis.register_script(load_script("call_control.kubernetes", "cost_lease"))
        self._written: dict[str, int] = {}
        self._failing: set[str] = set()
        self._patches = TokenBucket(self._timing.patches_per_min, 60.0)
        self._outage = OutageLogger(
            log, begun="failed to write pod deletion costs; retrying", over="pod deletion costs recovered"
        )

    async def run(self) -> None:
        await repeat(self._step, self._timing.backoff, self._outage)

    async def _step(self) -> float:
        if not await self._has_lease():
            # Another replica may write other costs.
            self._written.clear()
            return self._timing.every_s
        pods = pod_costs((await self._fleet.live()).values())
        self._forget_all_but({pod.pod for of_kind in pods.values() for pod in of_kind})
        due = [pod for of_kind in pods.values() for pod in outdated(of_kind, self._written)]
        if due:
            async with self._api.session() as api:
                for pod in due:
                    if not self._patches.take(asyncio.get_running_loop().time()):
                        break
                    await self._write(api, pod)
        return self._timing.every_s

    async def _has_lease(self) -> bool:
        async with redis_errors("taking the lease for pod deletion costs"):
            return bool(await self._lease(keys=[POD_COSTS], args=[self._name, round(self._timing.lease_s * 1000)]))

    async def _write(self, api: PodApi, pod: PodCost) -> None:
        """Write one cost. A pod that does not exist, such as that of a process outside of the cluster, is tried again
        only when its cost is due again.
        """
        try:
            await api.set_deletion_cost(pod.pod, pod.cost)
        except ConflictingPatchError as error:
            self._failed(pod, error.message)
        except GoneError as error:
            self._failed(pod, error.message)
            self._written[pod.pod] = pod.cost
        else:
            self._written[pod.pod] = pod.cost
            self._failing.discard(pod.pod)
            self._outage.worked(task=pod.pod)

    def _failed(self, pod: PodCost, reason: str) -> None:
        self._failing.add(pod.pod)
        self._outage.failed(task=pod.pod, error=reason)

    def _forget_all_but(self, pods: set[str]) -> None:
        self._written = {pod: cost for pod, cost in self._written.items() if pod in pods}
        for pod in self._failing - pods:
            self._failing.discard(pod)
            self._outage.worked(task=pod)
