"""A Deployment: replicas, the ReplicaSet's choice of victims, roll-outs with `maxSurge` and `minReadySeconds`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from sizing.simulation.clock import Clock
from sizing.simulation.entities import Pod, State
from sizing.simulation.nodes import Node, Nodes


@dataclass(frozen=True, slots=True)
class PodSpec:
    kind: str
    cpu_m: int
    capacity: int
    start_s: float
    """Time from the placement on a node until the pod is ready."""
    min_ready_s: float
    max_surge: int = 1


@dataclass(slots=True)
class Most:
    """Highest numbers of the run."""

    pods: int = 0
    draining: int = 0


class Deployment:
    """`terminate` is called with a pod that was chosen to end; it calls `ended` when the pod has no call left."""

    def __init__(self, clock: Clock, nodes: Nodes, spec: PodSpec, terminate: Callable[[Pod], None]) -> None:
        self.spec = spec
        self.pods: list[Pod] = []
        self.replicas = 0
        self.most = Most()
        self.pod_s = 0.0
        """Seconds of all running pods together."""
        self.rolled_out_s: list[float] = []
        """Durations of finished roll-outs."""
        self._clock, self._nodes, self._terminate = clock, nodes, terminate
        self._numbers = count()
        self._version = 0
        self._roll_began: float | None = None
        self._counted_at = clock.now

    def start(self, replicas: int) -> None:
        """Start with ready pods."""
        self._nodes.extend(replicas * self.spec.cpu_m)
        self.replicas = replicas
        for _ in range(replicas):
            self._create(ready=True)

    def scale(self, replicas: int) -> None:
        self.replicas = replicas
        self.reconcile()

    def roll_out(self) -> None:
        if self._roll_began is None:
            self._version += 1
            self._roll_began = self._clock.now
            self.reconcile()

    def ready(self) -> list[Pod]:
        return [pod for pod in self.pods if pod.state is State.READY]

    def emptiest(self, but: Pod | None = None) -> Pod | None:
        """Return the pod with the fewest calls that has room for one."""
        found, fewest = None, self.spec.capacity
        for pod in self.pods:
            if pod.state is State.READY and len(pod.calls) < fewest and pod is not but:
                found, fewest = pod, len(pod.calls)
        return found

    def room(self, but: Pod | None = None) -> int:
        return sum(self.spec.capacity - len(pod.calls) for pod in self.ready() if pod is not but)

    def reconcile(self) -> None:
        """Create and end pods as the controllers of Deployment and ReplicaSet do, with `maxUnavailable: 0`."""
        present = [pod for pod in self.pods if pod.state in (State.PENDING, State.READY, State.LOST)]
        old = [pod for pod in present if pod.version != self._version]
        new = [pod for pod in present if pod.version == self._version]
        if not old:
            for _ in range(self.replicas - len(new)):
                self._create()
            for pod in self._victims(new)[: max(0, len(new) - self.replicas)]:
                self.end(pod)
            if self._roll_began is not None and len(new) == self.replicas and all(map(self._available, new)):
                self.rolled_out_s.append(self._clock.now - self._roll_began)
                self._roll_began = None
            return
        surplus = self.replicas + self.spec.max_surge - len(present)
        for _ in range(min(surplus, self.replicas - len(new))):
            self._create()
        removable = sum(map(self._available, present)) - self.replicas
        for pod in self._victims(old)[: max(0, removable)]:
            self.end(pod)
        if removable > 0:
            self.reconcile()

    def end(self, pod: Pod) -> None:
        pending = pod.state is not State.READY
        pod.state = State.TERMINATING
        self._note()
        if pending:
            self.ended(pod)
        else:
            self._terminate(pod)

    def ended(self, pod: Pod) -> None:
        if pod.state is State.GONE:
            return
        self._note()
        pod.state = State.GONE
        self.pods.remove(pod)
        if pod.node is not None and pod.node.alive:
            self._nodes.release(pod.node, self.spec.kind, self.spec.cpu_m)
        self.reconcile()

    def crash(self, pod: Pod, restart_s: float) -> None:
        """The container dies; the kubelet restarts it on the same node."""
        pod.state = State.PENDING
        self._clock.after(restart_s, lambda: self._is_ready(pod))

    def lose(self, pod: Pod, evicted_after_s: float) -> None:
        """The pod's node dies."""
        pod.state = State.LOST

        def evict() -> None:
            if pod.state is State.LOST:
                self.ended(pod)

        self._clock.after(evicted_after_s, evict)

    def seconds_until_now(self) -> float:
        self._note()
        return self.pod_s

    def _create(self, *, ready: bool = False) -> None:
        pod = Pod(next(self._numbers), self._version)
        self.pods.append(pod)

        def placed(node: Node) -> None:
            if pod.state is State.GONE:
                self._nodes.release(node, self.spec.kind, self.spec.cpu_m)
                return
            pod.node = node
            if ready:
                pod.state, pod.ready_at = State.READY, self._clock.now - self.spec.min_ready_s
            else:
                self._clock.after(self.spec.start_s, lambda: self._is_ready(pod))

        self._nodes.place(self.spec.kind, self.spec.cpu_m, placed)
        self._note()

    def _is_ready(self, pod: Pod) -> None:
        if pod.state is not State.PENDING:
            return
        pod.state, pod.ready_at = State.READY, self._clock.now
        self.reconcile()
        self._clock.after(self.spec.min_ready_s, self.reconcile)

    def _available(self, pod: Pod) -> bool:
        return pod.state is State.READY and self._clock.now >= pod.ready_at + self.spec.min_ready_s

    def _victims(self, pods: list[Pod]) -> list[Pod]:
        """Return the pods in the order in which a ReplicaSet removes them: not ready first, then by deletion cost."""
        return sorted(pods, key=lambda pod: (pod.state is State.READY, len(pod.calls), pod.number))

    def _note(self) -> None:
        now = self._clock.now
        self.pod_s += len(self.pods) * (now - self._counted_at)
        self._counted_at = now
        self.most.pods = max(self.most.pods, len(self.pods))
        draining = sum(pod.state is State.TERMINATING for pod in self.pods)
        self.most.draining = max(self.most.draining, draining)
