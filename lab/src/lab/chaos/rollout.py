"""The decisions of Kubernetes for the pods of one Deployment: rolling update, scale-down and termination. No I/O, no
clock.

As in kube-controller-manager, a pod that is being deleted no longer counts: the controller starts the next pod, and
deletes the next old one, while earlier ones still drain.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from lab.chaos.pacing import Pacing

_NEVER: Final = float("inf")


@dataclass(slots=True)
class Pod:
    """Times are in monotonic seconds. `new`: it has the new pod template."""

    name: str
    created_at: float
    new: bool = False
    ready_at: float = _NEVER
    """Since when it is ready; infinite if it is not."""
    cost: int = 0
    """`controller.kubernetes.io/pod-deletion-cost`."""
    deleted_at: float = _NEVER
    signaled: bool = False
    killed: bool = False

    @property
    def active(self) -> bool:
        return self.deleted_at == _NEVER

    def available(self, now: float, min_ready_s: float) -> bool:
        return self.ready_at + min_ready_s <= now


@dataclass(frozen=True, slots=True)
class Create:
    """Start a pod with the new template."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the pod from the endpoints; its `preStop` hook begins."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class Signal:
    """Send SIGTERM, or SIGKILL at the end of the grace period."""

    pod: Pod
    kill: bool = False


Order: TypeAlias = Create | Delete | Signal


@dataclass(slots=True)
class Rollout:
    """A Deployment with its pods. `updates`: the pods of the old template are replaced. The driver carries out the
    orders of `step`, adds created pods, sets `ready_at`, and removes pods that have exited.
    """

    pacing: Pacing
    replicas: int
    pods: list[Pod] = field(default_factory=list)
    updates: bool = True
    killed: int = 0

    @property
    def draining(self) -> int:
        return sum(not pod.active for pod in self.pods)

    def finished(self, now: float) -> bool:
        """Return whether all pods are available and of the wanted template, and no other pod is left."""
        return len(self.pods) == self.replicas and all(
            pod.active and (pod.new or not self.updates) and pod.available(now, self.pacing.min_ready_s)
            for pod in self.pods
        )

    def step(self, now: float) -> list[Order]:
        orders: list[Order] = [*self._terminations(now)]
        active = [pod for pod in self.pods if pod.active]
        new = [pod for pod in active if pod.new]
        old = [pod for pod in active if not pod.new]
        if not self.updates:
            doomed = len(active) - self.replicas
        else:
            room = self.replicas + self.pacing.surge(self.replicas) - len(active)
            created = max(min(room, self.replicas - len(new)), 0)
            orders += [Create()] * created
            doomed = min(self._spare(now, active, new, created), len(old))
        for pod in victims(old if self.updates else active)[: max(doomed, 0)]:
            pod.deleted_at = now
            orders.append(Delete(pod))
        return orders

    def _spare(self, now: float, active: list[Pod], new: list[Pod], created: int) -> int:
        """Return how many old pods may be deleted, as `reconcileOldReplicaSets` counts them."""
        least = self.replicas - self.pacing.unavailable(self.replicas)
        available = [pod for pod in active if pod.available(now, self.pacing.min_ready_s)]
        new_unavailable = len(new) + created - sum(pod in available for pod in new)
        return min(len(active) + created - least - new_unavailable, len(available) - least)

    def _terminations(self, now: float) -> Iterable[Order]:
        for pod in self.pods:
            if not pod.signaled and pod.deleted_at + self.pacing.pre_stop_s <= now:
                pod.signaled = True
                yield Signal(pod)
            if not pod.killed and pod.deleted_at + self.pacing.grace_s <= now:
                pod.killed = True
                self.killed += 1
                yield Signal(pod, kill=True)


def victims(pods: Iterable[Pod]) -> list[Pod]:
    """Order pods as a ReplicaSet chooses victims: those that are not ready, then the lowest deletion cost, then the
    shortest time ready, then the newest. All pods are on one node.
    """
    return sorted(pods, key=lambda pod: (pod.ready_at < _NEVER, pod.cost, -pod.ready_at, -pod.created_at))
