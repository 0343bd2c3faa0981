"""The algorithm of the HorizontalPodAutoscaler (`autoscaling/v2`), which KEDA uses too for more than one replica.

Tolerance, stabilization windows and policies follow `pkg/controller/podautoscaler/horizontal.go` of Kubernetes 1.34.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Final, Literal

TOLERANCE: Final = 0.1
SYNC_S: Final = 15.0
"""Interval of the controller (`--horizontal-pod-autoscaler-sync-period`). KEDA's `pollingInterval` and `cooldownPeriod`
apply to the step between 0 and 1 replicas only.
"""


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    kind: Literal["Pods", "Percent"]
    value: int
    period_s: float


@dataclass(frozen=True, slots=True)
class ScalingRules:
    stabilization_s: float
    policies: tuple[ScalingPolicy, ...]


@dataclass(frozen=True, slots=True)
class ScalingSpec:
    minimum: int
    maximum: int
    target: float
    """Value of the metric per replica."""
    up: ScalingRules
    down: ScalingRules


@dataclass(slots=True)
class Autoscaler:
    spec: ScalingSpec
    _recommended: deque[tuple[float, int]] = field(default_factory=deque)
    _changes: deque[tuple[float, int]] = field(default_factory=deque)
    """Replicas added (positive) or removed (negative), with their time."""

    def replicas(self, now: float, current: int, metric: float) -> int:
        """Return the new number of replicas. `metric`: its total over all replicas."""
        spec = self.spec
        wanted = current if abs(metric / (spec.target * current) - 1) <= TOLERANCE else ceil(metric / spec.target)
        wanted = min(max(self._stabilized(now, current, wanted), spec.minimum), spec.maximum)
        if wanted > current:
            wanted = min(wanted, max(current, self._highest(now, current)))
        elif wanted < current:
            wanted = max(wanted, min(current, self._lowest(now, current)))
        if wanted != current:
            self._changes.append((now, wanted - current))
        return wanted

    def _stabilized(self, now: float, current: int, wanted: int) -> int:
        longest_s = max(self.spec.up.stabilization_s, self.spec.down.stabilization_s)
        while self._recommended and self._recommended[0][0] < now - longest_s:
            self._recommended.popleft()
        self._recommended.append((now, wanted))
        lowest = min(n for at, n in self._recommended if at >= now - self.spec.up.stabilization_s)
        highest = max(n for at, n in self._recommended if at >= now - self.spec.down.stabilization_s)
        return min(max(current, lowest), highest)

    def _highest(self, now: float, current: int) -> int:
        """Return the most replicas that a policy for scaling up allows (`selectPolicy: Max`)."""
        return max(
            begun + policy.value if policy.kind == "Pods" else ceil(begun * (1 + policy.value / 100))
            for policy, begun in self._begun(now, current, self.spec.up)
        )

    def _lowest(self, now: float, current: int) -> int:
        return min(
            begun - policy.value if policy.kind == "Pods" else int(begun * (1 - policy.value / 100))
            for policy, begun in self._begun(now, current, self.spec.down)
        )

    def _begun(self, now: float, current: int, rules: ScalingRules) -> Iterator[tuple[ScalingPolicy, int]]:
        """Yield each policy with the replicas at the start of its period."""
        longest_s = max((one.period_s for one in (*self.spec.up.policies, *self.spec.down.policies)), default=inf)
        while self._changes and self._changes[0][0] <= now - longest_s:
            self._changes.popleft()
        for policy in rules.policies:
            yield policy, current - sum(change for at, change in self._changes if at > now - policy.period_s)
