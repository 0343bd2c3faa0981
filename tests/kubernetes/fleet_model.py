"""Calls of one service over its pods: Poisson arrivals, exponential durations, the emptiest pod first."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class FleetModel:
    """Times are in seconds of the planned load, whatever the speed of the test. `capacity`: calls of a pod."""

    capacity: int
    mean_call_s: float
    random: random.Random
    calls: dict[str, int] = field(default_factory=dict)
    """Calls of each pod that accepts new ones."""
    draining: dict[str, int] = field(default_factory=dict)
    arrived: int = 0
    refused: int = 0
    """Calls that found no pod with a free place."""
    moved: int = 0
    """Calls that were still on a pod when its drain time ended."""

    @property
    def total(self) -> int:
        return sum(self.calls.values()) + sum(self.draining.values())

    def follow(self, ready: set[str], draining: set[str]) -> None:
        """Take over which pods are ready, and which drain."""
        for pod in ready - set(self.calls):
            self.calls[pod] = self.draining.pop(pod, 0)
        for pod in set(self.calls) - ready:
            self.draining[pod] = self.calls.pop(pod)
        for pod in set(self.draining) - draining:
            left = self.draining.pop(pod)
            self.moved += left
            for _ in range(left):
                self._place()

    def step(self, arrivals_per_s: float, dt_s: float) -> None:
        ending = min(dt_s / self.mean_call_s, 1.0)
        for pods in (self.calls, self.draining):
            for pod, count in pods.items():
                pods[pod] -= sum(self.random.random() < ending for _ in range(count))
        due = self.random.expovariate(arrivals_per_s)
        while due < dt_s:
            self.arrived += 1
            self._place()
            due += self.random.expovariate(arrivals_per_s)

    def _place(self) -> None:
        emptiest = min(self.calls, key=lambda pod: self.calls[pod], default=None)
        if emptiest is None or self.calls[emptiest] >= self.capacity:
            self.refused += 1
        else:
            self.calls[emptiest] += 1
