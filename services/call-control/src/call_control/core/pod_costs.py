"""Deletion costs of pods: a ReplicaSet that scales down deletes pods with lower costs first.

Every write of an annotation is a write to the API server, so costs are written only if the order of the pods has
changed noticeably: while all pods fill up alike, nothing is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from call_control.core.fleet_demand import GATEWAY, RELAY, LiveProcess

DRAINING: Final = -1
"""Cost of a pod that accepts no calls any more."""
_NOTICEABLE: Final = 0.1
"""Difference of two pods, as a fraction of the calls of the fullest, below which their order does not matter."""
_NOTICEABLE_CALLS: Final = 5
"""The same in calls, for pods with few."""


@dataclass(frozen=True, slots=True)
class PodCost:
    pod: str
    cost: int
    """Its calls, or `DRAINING`."""


def pod_costs(processes: Iterable[LiveProcess]) -> Mapping[str, Sequence[PodCost]]:
    """Return the pods of the services that have calls, by service. Processes without a host name are ignored. A pod may
    have two processes for a moment, when its container was restarted.
    """
    found: dict[str, dict[str, PodCost]] = {GATEWAY: {}, RELAY: {}}
    for process in processes:
        if process.host and process.kind in found:
            cost = DRAINING if process.draining else process.active
            other = found[process.kind].get(process.host)
            cost = cost if other is None else max(cost, other.cost)
            found[process.kind][process.host] = PodCost(process.host, cost)
    return {kind: list(pods.values()) for kind, pods in found.items()}


def outdated(pods: Sequence[PodCost], written: Mapping[str, int]) -> list[PodCost]:
    """Return the pods of one service whose costs must be written, the most wrong first. `written`: the costs that are
    known to be written, by pod.
    """
    due = [pod for pod in pods if pod.pod not in written or (pod.cost == DRAINING) != (written[pod.pod] == DRAINING)]
    known = [pod for pod in pods if pod not in due and pod.cost != DRAINING]
    noticeable = max(_NOTICEABLE * max((pod.cost for pod in known), default=0), _NOTICEABLE_CALLS)
    if _is_misordered(known, written, noticeable):
        # With the others, no two pods are misordered by more than a noticeable difference.
        wrong = {pod: abs(pod.cost - written[pod.pod]) for pod in known}
        half = [pod for pod in known if wrong[pod] >= noticeable / 2]
        due += sorted(half, key=lambda pod: wrong[pod], reverse=True)
    return due


def _is_misordered(pods: Sequence[PodCost], written: Mapping[str, int], noticeable: float) -> bool:
    """Whether a pod has noticeably fewer calls than another that would be deleted before it, or as soon."""
    highest = -math.inf
    for pod in sorted(pods, key=lambda pod: (written[pod.pod], -pod.cost)):
        if pod.cost < highest - noticeable:
            return True
        highest = max(highest, pod.cost)
    return False
