"""One simulated deployment: calls, relays, gateways, their autoscalers, the quota, and what happens to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from random import Random
from typing import Final

from sizing.simulation.arrivals import Curve, arrivals
from sizing.simulation.autoscaler import SYNC_S, Autoscaler, ScalingSpec
from sizing.simulation.clock import Clock
from sizing.simulation.counts import Counts
from sizing.simulation.deployment import Deployment, PodSpec
from sizing.simulation.drains import DrainTimes, GatewayDrains, RelayDrains
from sizing.simulation.entities import Call, Phase, Pod
from sizing.simulation.media import Media
from sizing.simulation.nodes import Nodes, NodeSpec
from sizing.simulation.token_quota import TokenQuota
from sizing.simulation.voice import Voice, VoiceTimes

EVICTED_AFTER_S: Final = 340.0
"""Time until Kubernetes replaces the pods of a dead node: 40 s until it is unreachable, and the default toleration of
300 s.
"""
WARM_UP_S: Final = 900.0
"""The simulation begins before 0, so that the first calls and tokens do not count."""
RESTART_S: Final = 10.0
"""Time from the death of a process until it is ready again, on the same node."""


@dataclass(frozen=True, slots=True)
class Demand:
    """The metric of the autoscalers: `demand` of `GET /api/fleet`."""

    buffer_calls: int
    buffer_percent: int
    lag_s: float
    """Age of the metric when the autoscaler reads it."""

    def of(self, calls: int, ringing: int) -> float:
        buffer = max(self.buffer_calls, calls * self.buffer_percent / 100)
        return calls + ringing + buffer


@dataclass(frozen=True, slots=True)
class FleetSpec:
    curve: Curve
    mean_call_s: float
    resources: int
    connections_per_min: int
    relay: PodSpec
    gateway: PodSpec
    relay_scaling: ScalingSpec
    gateway_scaling: ScalingSpec
    demand: Demand
    voice: VoiceTimes
    relay_drain: DrainTimes
    gateway_drain: DrainTimes
    media_patience_s: float
    node: NodeSpec


class Fleet:
    """Use an instance for one `run`."""

    def __init__(self, spec: FleetSpec, seed: int) -> None:
        self.clock = Clock(-WARM_UP_S)
        self.counts = Counts()
        self.nodes = Nodes(self.clock, spec.node)
        self.quota = TokenQuota(spec.resources, spec.connections_per_min)
        self.connected = 0
        self._used_before = (0.0, 0.0)
        self._spec, self._random = spec, Random(seed)
        self.relays = Deployment(self.clock, self.nodes, spec.relay, lambda pod: self._relay_drains.begin(pod))
        self.gateways = Deployment(self.clock, self.nodes, spec.gateway, lambda pod: self._gateway_drains.begin(pod))
        self.media = Media(self.clock, self.gateways, spec.media_patience_s, self.counts, self.hang_up)
        self.voice = Voice(
            self.clock,
            self.relays,
            self.quota,
            spec.voice,
            self._random,
            self.counts,
            answered=self._answered,
            hang_up=self.hang_up,
        )
        self._relay_drains = RelayDrains(self.clock, self.relays, self.quota, self.voice, spec.relay_drain, self.counts)
        self._gateway_drains = GatewayDrains(self.clock, self.gateways, self.media, spec.gateway_drain)

    def run(self, until_s: float, events: Callable[[Fleet], None] | None = None) -> Counts:
        """Return what happened between 0 and `until_s`. `events`: adds failures and roll-outs to the clock at 0."""
        spec, start = self._spec, self._spec.curve.at(0)
        for deployment, scaling in ((self.relays, spec.relay_scaling), (self.gateways, spec.gateway_scaling)):
            needed = ceil(spec.demand.of(round(start), 0) / scaling.target)
            deployment.start(min(max(needed, scaling.minimum), scaling.maximum))
            self._autoscale(deployment, scaling)
        for _ in range(round(start)):
            self._connect(Call(self.clock.now, self._random.expovariate(1 / spec.mean_call_s)))
        self._ring_next(arrivals(spec.curve, spec.mean_call_s, self._random, self.clock.now, until_s))
        self.clock.run(0.0)
        self.counts.clear()
        self._used_before = self._used()
        if events is not None:
            events(self)
        self.clock.run(until_s)
        return self.counts

    def hours(self) -> tuple[float, float]:
        """Return the hours of all relays and gateways since 0."""
        relay_s, gateway_s = (now - before for now, before in zip(self._used(), self._used_before, strict=True))
        return relay_s / 3600, gateway_s / 3600

    def _used(self) -> tuple[float, float]:
        return self.relays.seconds_until_now(), self.gateways.seconds_until_now()

    # -- failures and maintenance
    def relay_dies(self) -> None:
        """The fullest relay dies."""
        pod = max(self.relays.ready(), key=lambda one: len(one.calls), default=None)
        if pod is not None:
            self.relays.crash(pod, RESTART_S)
            self.voice.relay_died(pod)

    def node_dies(self) -> None:
        """The node with the most calls on its relays dies, with all its pods."""
        pods: dict[int, list[tuple[Deployment, Pod]]] = {}
        for deployment in (self.relays, self.gateways):
            for pod in deployment.ready():
                pods.setdefault(id(pod.node), []).append((deployment, pod))

        def relayed(found: list[tuple[Deployment, Pod]]) -> int:
            return sum(len(pod.calls) for deployment, pod in found if deployment is self.relays)

        victims = max(pods.values(), key=relayed, default=[])
        for deployment, pod in victims:
            if pod.node is not None and pod.node.alive:
                self.nodes.kill(pod.node)
            deployment.lose(pod, EVICTED_AFTER_S)
        for deployment, pod in victims:
            (self.voice.relay_died if deployment is self.relays else self.media.closed)(pod)

    def roll_out(self) -> None:
        """Roll out both services at the same time."""
        self.relays.roll_out()
        self.gateways.roll_out()

    # -- calls
    def hang_up(self, call: Call) -> None:
        if call.phase is Phase.CONNECTED:
            self.connected -= 1
        call.phase = Phase.OVER
        self.voice.ringing.pop(call, None)
        for pod in (call.relay, call.next_relay, call.gateway):
            if pod is not None:
                pod.calls.pop(call, None)

    def _ring_next(self, times: Iterator[float]) -> None:
        at = next(times, None)
        if at is None:
            return

        def ring() -> None:
            self._ring()
            self._ring_next(times)

        self.clock.after(at - self.clock.now, ring)

    def _ring(self) -> None:
        self.voice.ring(Call(self.clock.now, self._random.expovariate(1 / self._spec.mean_call_s)))

    def _connect(self, call: Call) -> None:
        relay = self.relays.emptiest()
        if relay is None:
            return
        call.phase, call.relay, call.resource = Phase.CONNECTED, relay, 0
        relay.calls[call] = None
        self._answered(call)

    def _answered(self, call: Call) -> None:
        self.connected += 1
        self.counts.most_calls = max(self.counts.most_calls, self.connected)
        self.media.open(call)

        def ends() -> None:
            if call.phase is Phase.CONNECTED:
                self.hang_up(call)

        self.clock.after(call.talks_s, ends)

    def _autoscale(self, deployment: Deployment, scaling: ScalingSpec) -> None:
        autoscaler = Autoscaler(scaling)

        def sync() -> None:
            demand = self._spec.demand.of(self.connected, len(self.voice.ringing))

            def decide() -> None:
                replicas = autoscaler.replicas(self.clock.now, deployment.replicas, demand)
                if replicas != deployment.replicas:
                    deployment.scale(replicas)

            self.clock.after(self._spec.demand.lag_s, decide)

        self.clock.every(SYNC_S, sync)
