"""Nodes of the cluster: CPU requests decide where a pod fits, and whether a node must be provisioned for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sizing.simulation.clock import Clock

LOOK_S: Final = 10.0
"""Interval at which the cluster autoscaler looks for pods that do not fit."""
EMPTY_S: Final = 600.0
"""An empty node is removed after this time."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    cpu_m: int
    """Millicores that the requests of our pods may use on one node."""
    minimum: int
    provision_s: float
    """Time until a new node is ready, with the images pulled."""


@dataclass(eq=False, slots=True)
class Node:
    left_m: int
    kinds: Counter[str] = field(default_factory=Counter)
    alive: bool = True
    empty_since: float | None = 0.0


class Nodes:
    def __init__(self, clock: Clock, spec: NodeSpec) -> None:
        self.nodes = [Node(spec.cpu_m) for _ in range(spec.minimum)]
        self._clock, self._spec = clock, spec
        self._pending: list[tuple[str, int, Callable[[Node], None]]] = []
        self._ordered = 0
        clock.every(LOOK_S, self._look)

    def place(self, kind: str, cpu_m: int, placed: Callable[[Node], None]) -> None:
        """Call `placed` with the node of a new pod, which may have to be provisioned first. Pods of one kind spread."""
        fitting = [node for node in self.nodes if node.alive and node.left_m >= cpu_m]
        if not fitting:
            self._pending.append((kind, cpu_m, placed))
            return
        node = min(fitting, key=lambda one: (one.kinds[kind], -one.left_m))
        node.left_m -= cpu_m
        node.kinds[kind] += 1
        node.empty_since = None
        placed(node)

    def extend(self, cpu_m: int) -> None:
        """Add nodes at once, so that pods with this sum of requests fit beside those that are there."""
        while sum(node.left_m for node in self.nodes) < 1.2 * cpu_m:
            self.nodes.append(Node(self._spec.cpu_m))

    def release(self, node: Node, kind: str, cpu_m: int) -> None:
        node.left_m += cpu_m
        node.kinds[kind] -= 1
        if node.kinds.total() == 0:
            node.empty_since = self._clock.now
        self._place_pending()

    def kill(self, node: Node) -> None:
        node.alive = False
        self.nodes.remove(node)

    def _look(self) -> None:
        missing = -(-sum(cpu_m for _, cpu_m, _ in self._pending) // self._spec.cpu_m)
        missing = max(missing, self._spec.minimum - len(self.nodes))
        for _ in range(missing - self._ordered):
            self._ordered += 1
            self._clock.after(self._spec.provision_s, self._provisioned)
        for node in list(self.nodes):
            since = node.empty_since
            idle = since is not None and self._clock.now - since > EMPTY_S and not self._pending
            if idle and len(self.nodes) > self._spec.minimum:
                self.nodes.remove(node)

    def _provisioned(self) -> None:
        self._ordered -= 1
        self.nodes.append(Node(self._spec.cpu_m, empty_since=self._clock.now))
        self._place_pending()

    def _place_pending(self) -> None:
        pending, self._pending = self._pending, []
        for pod in pending:
            self.place(*pod)
