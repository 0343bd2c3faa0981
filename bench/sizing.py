"""How much of everything so many calls at once need, from measured figures. docs/sizing.md explains each formula.

Pure: figures in, a plan out. `Measured.of` reads what `python -m bench` stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from statistics import median
from typing import Any, Final

from bench.alone_driver import GATEWAY, RELAY
from bench.bridges import Shape
from bench.wire_sizes import WireSizes

CORE_MS: Final = 1000.0
SIZES: Final = (100, 1_000, 10_000)
SHAPE: Final = Shape.DELTAS
"""As Voice Live sends an agent's speech."""
Figures = Mapping[str, Any]


class NotMeasuredError(RuntimeError):
    """A figure that the plan is made of is missing; the message says which measurement brings it."""


@dataclass(frozen=True, slots=True)
class Line:
    """CPU of one process in ms a second: `fixed_ms` for being there and waking up, `each_ms` for every call."""

    fixed_ms: float
    each_ms: float

    def ms(self, calls: float) -> float:
        return self.fixed_ms + self.each_ms * calls

    def calls_within(self, budget_ms: float) -> int:
        return max(0, floor((budget_ms - self.fixed_ms) / self.each_ms))

    @classmethod
    def through(cls, points: Mapping[int, float]) -> Line:
        """The line nearest to (calls, ms a second) in relative distance: every size counts alike.

        Through one point it begins at nothing, as it does when the best line would begin below.
        """
        weights = {calls: 1 / ms**2 for calls, ms in points.items()}
        total = sum(weights.values())
        mean_n = sum(weight * calls for calls, weight in weights.items()) / total
        mean_ms = sum(weight * points[calls] for calls, weight in weights.items()) / total
        spread = sum(weight * (calls - mean_n) ** 2 for calls, weight in weights.items())
        if spread > 0:
            each = sum(w * (calls - mean_n) * (points[calls] - mean_ms) for calls, w in weights.items()) / spread
            if 0 < each <= mean_ms / mean_n:
                return cls(mean_ms - each * mean_n, each)
        through_zero = sum(w * calls * points[calls] for calls, w in weights.items())
        return cls(0.0, through_zero / sum(w * calls**2 for calls, w in weights.items()))


@dataclass(frozen=True, slots=True)
class Assumed:
    """What only the people who run the calls know, and how much room they leave."""

    mean_call_s: float = 180.0
    agent_talks: float = 0.5
    """Share of the time; for networks and tokens. CPU is measured with the agent talking all the time."""
    busy: float = 0.6
    """Of a core, for a process of ours as for Redis."""
    spare_pods: int = 1
    replicas: int = 1
    """Of each Redis."""
    connections_per_min: int = 30
    """New ones, of one Voice Live resource."""
    tokens_per_min: int = 120_000
    """Of one Voice Live resource."""
    tokens_in_per_s: float = 10.0
    """While a call lasts: the caller's audio at a model that hears it."""
    tokens_out_per_s: float = 20.0
    """While the agent talks."""
    pod_calls_most: int = 200
    """Nothing larger was measured."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Each by the name that docs/sizing.md uses."""

    gateway_cpu: Line
    relay_cpu: Line
    gateway_redis_cpu: Line
    """Redis's CPU for one gateway, and for the appends that it reads."""
    relay_redis_cpu: Line
    gateway_mb: Line
    """Resident, here in MB."""
    relay_mb: Line
    control_ms_per_call: float
    """CPU of call-control, from the webhook to the end."""
    redis_mb_per_call: float
    """Full streams."""
    redis_in_kb: float
    """KB a second and call, into Redis."""
    redis_out_kb: float
    wire: WireSizes

    @classmethod
    def of(cls, whole: Figures, wire: WireSizes) -> Measured:
        """`whole`: figures by measurement. Raises `NotMeasuredError`."""
        runs = _runs(whole)
        net = {name: _most_calls(points(runs, name, "redis_in_bytes")) for name in (GATEWAY, RELAY)}
        out = {name: _most_calls(points(runs, name, "redis_out_bytes")) for name in (GATEWAY, RELAY)}
        return cls(
            gateway_cpu=Line.through(cpu_points(runs, GATEWAY, GATEWAY)),
            relay_cpu=Line.through(cpu_points(runs, RELAY, RELAY)),
            gateway_redis_cpu=Line.through(cpu_points(runs, GATEWAY, "redis")),
            relay_redis_cpu=Line.through(cpu_points(runs, RELAY, "redis")),
            gateway_mb=Line.through(points(runs, GATEWAY, "rss_mb")),
            relay_mb=Line.through(points(runs, RELAY, "rss_mb")),
            control_ms_per_call=float(_found(whole, "arrivals")["ms_per_call"]["call-control"]),
            redis_mb_per_call=float(_found(whole, "alone")["stream_memory"][SHAPE]["mb"]),
            redis_in_kb=max(net.values()) / 1000,
            redis_out_kb=sum(out.values()) / 1000,
            wire=wire,
        )


@dataclass(frozen=True, slots=True)
class Pods:
    calls_each: int
    """At `busy` of a core."""
    pods: int
    mb_each: float


@dataclass(frozen=True, slots=True)
class Plan:
    calls: int
    arrivals_per_min: float
    control_pods: int
    gateway: Pods
    relay: Pods
    redis_servers: int
    """Primaries, each with the calls of its own cell."""
    redis_mb: float
    """Of all primaries together."""
    redis_in_mb_s: float
    redis_out_mb_s: float
    replication_mb_s: float
    acs_in_mb_s: float
    acs_out_mb_s: float
    voice_out_mb_s: float
    voice_in_mb_s: float
    resources_by_connections: int
    resources_by_tokens: int
    dead_relay_min: float
    """Minutes until the calls of a dead relay all have a voice session again, at the quota that is left over."""


def plan(calls: int, measured: Measured, assumed: Assumed) -> Plan:
    arrivals_per_min = calls * 60 / assumed.mean_call_s
    gateway = _pods(calls, measured.gateway_cpu, measured.gateway_mb, assumed)
    relay = _pods(calls, measured.relay_cpu, measured.relay_mb, assumed)
    control_ms = arrivals_per_min / 60 * measured.control_ms_per_call
    by_connections = ceil(arrivals_per_min / assumed.connections_per_min)
    tokens = assumed.tokens_in_per_s + assumed.tokens_out_per_s * assumed.agent_talks
    by_tokens = ceil(calls * tokens * 60 / assumed.tokens_per_min)
    resources = max(by_connections, by_tokens)
    left_per_min = resources * assumed.connections_per_min - arrivals_per_min
    of_one_relay = min(calls, relay.calls_each)
    wire, talks = measured.wire, assumed.agent_talks
    return Plan(
        calls=calls,
        arrivals_per_min=arrivals_per_min,
        control_pods=ceil(control_ms / (assumed.busy * CORE_MS)) + assumed.spare_pods,
        gateway=gateway,
        relay=relay,
        redis_servers=ceil(calls * redis_ms_per_call(measured, gateway, relay) / (assumed.busy * CORE_MS)),
        redis_mb=calls * measured.redis_mb_per_call,
        redis_in_mb_s=calls * measured.redis_in_kb / 1000,
        redis_out_mb_s=calls * measured.redis_out_kb / 1000,
        replication_mb_s=calls * measured.redis_in_kb / 1000 * assumed.replicas,
        acs_in_mb_s=calls * wire.acs_in_kb / 1000,
        acs_out_mb_s=calls * wire.acs_out_kb * talks / 1000,
        voice_out_mb_s=calls * wire.voice_out_kb / 1000,
        voice_in_mb_s=calls * wire.voice_in_kb * talks / 1000,
        resources_by_connections=by_connections,
        resources_by_tokens=by_tokens,
        dead_relay_min=of_one_relay / left_per_min if left_per_min > 0 else float("inf"),
    )


def redis_ms_per_call(measured: Measured, gateway: Pods, relay: Pods) -> float:
    """Every pod brings readers of its own, so a call costs what it does at a pod's size. Appends count twice here."""
    of_gateway = measured.gateway_redis_cpu.ms(gateway.calls_each) / gateway.calls_each
    return of_gateway + measured.relay_redis_cpu.ms(relay.calls_each) / relay.calls_each


def _pods(calls: int, cpu: Line, mb: Line, assumed: Assumed) -> Pods:
    each = max(1, min(cpu.calls_within(assumed.busy * CORE_MS), assumed.pod_calls_most))
    return Pods(each, ceil(calls / each) + assumed.spare_pods, mb.ms(each))


# -- reading what was measured
def points(runs: Sequence[Figures], service: str, name: str) -> dict[int, float]:
    """Calls → the median of the runs with the agent's speech in deltas."""
    found: dict[int, list[float]] = {}
    for run in runs:
        if run["service"] == service and run["shape"] == SHAPE and run["kept_up"]:
            found.setdefault(run["calls"], []).append(float(run[name]))
    if not found:
        raise NotMeasuredError(f"no run of {service} alone kept up: python -m bench alone")
    return {calls: median(values) for calls, values in sorted(found.items())}


def cpu_points(runs: Sequence[Figures], service: str, process: str) -> dict[int, float]:
    """Calls → CPU ms a second of a process, for all calls together."""
    of_process = [{**run, "process_ms": run["cpu_ms"][process]} for run in runs if process in run["cpu_ms"]]
    return {calls: ms * calls for calls, ms in points(of_process, service, "process_ms").items()}


def _most_calls(found: Mapping[int, float]) -> float:
    return found[max(found)]


def _runs(whole: Figures) -> list[dict[str, Any]]:
    return list(_found(whole, "alone")["runs"])


def _found(whole: Figures, name: str) -> Figures:
    if name not in whole:
        raise NotMeasuredError(f"not measured yet: python -m bench {name}")
    found: Figures = whole[name]
    return found
