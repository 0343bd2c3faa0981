"""Capacity planning: pods, Redis, networks and quota for N concurrent calls, from measured figures.

docs/sizing.md explains each formula. Pure: `Measured.of` reads what `python -m bench` stored, `plan` calculates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, inf
from statistics import fmean
from typing import Any, Final

from bench.alone import HANDLED, KEPT_UP_PCT
from bench.bridges import Bridge, Shape
from bench.recorded import Bandwidth
from bench.service_traffic import GATEWAY, RELAY

CORE_MS: Final = 1000.0
SHAPE: Final = Shape.DELTAS
"""Voice Live sends an agent's speech in deltas."""
Stored = Mapping[str, Any]
_CPU: Final = "CPU, ms/s/call"
_REDIS_CPU: Final = "CPU of redis, ms/s/call"


class NotMeasuredError(RuntimeError):
    """A figure that the plan needs is missing; the message names the measurement."""


@dataclass(frozen=True, slots=True)
class Line:
    """CPU (ms a second) or memory (MB) of one process: a fixed part and a part for each call."""

    fixed: float
    each: float

    def at(self, calls: float) -> float:
        return self.fixed + self.each * calls

    def calls_within(self, budget: float) -> int:
        return max(0, floor((budget - self.fixed) / self.each))

    @classmethod
    def through(cls, points: Mapping[int, float]) -> Line:
        """The line with the least relative error, so that every size counts alike.

        It starts at 0 if there is one point only, or if the best line would start below 0.
        """
        weights = {calls: 1 / value**2 for calls, value in points.items()}
        total = sum(weights.values())
        mean_calls = sum(weight * calls for calls, weight in weights.items()) / total
        mean_value = sum(weight * points[calls] for calls, weight in weights.items()) / total
        spread = sum(weight * (calls - mean_calls) ** 2 for calls, weight in weights.items())
        if spread > 0:
            each = sum(w * (n - mean_calls) * (points[n] - mean_value) for n, w in weights.items()) / spread
            if 0 < each <= mean_value / mean_calls:
                return cls(mean_value - each * mean_calls, each)
        through_zero = sum(weight * calls * points[calls] for calls, weight in weights.items())
        return cls(0.0, through_zero / sum(weight * calls**2 for calls, weight in weights.items()))


@dataclass(frozen=True, slots=True)
class Assumed:
    """Inputs that the operator chooses: traffic, quotas and reserves."""

    mean_call_s: float = 180.0
    agent_talks: float = 0.5
    """Fraction of the call. Applies to networks and tokens; CPU is measured with an agent that talks all the time."""
    busy: float = 0.6
    """Target utilization of a core, for our processes and for Redis."""
    spare_pods: int = 1
    replicas: int = 1
    """Replicas of each Redis server."""
    connections_per_min: int = 30
    """New connections to one Voice Live resource."""
    tokens_per_min: int = 120_000
    """Quota of one Voice Live resource."""
    tokens_in_per_s: float = 10.0
    """Input tokens during the whole call, for a model that processes the caller's audio."""
    tokens_out_per_s: float = 20.0
    """Output tokens while the agent talks."""
    pod_calls_max: int = 200
    """Largest pod that was measured."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Inputs, by the names that docs/sizing.md uses."""

    gateway_cpu: Line
    relay_cpu: Line
    gateway_redis_cpu: Line
    """CPU of Redis for one gateway, and for the appends that it reads."""
    relay_redis_cpu: Line
    gateway_mb: Line
    relay_mb: Line
    control_ms_per_call: float
    """CPU of call-control from the webhook to the end of the call."""
    redis_mb_per_call: float
    redis_in_kb: float
    """KB a second and call."""
    redis_out_kb: float
    bandwidth: Bandwidth

    @classmethod
    def of(cls, whole: Stored, bandwidth: Bandwidth) -> Measured:
        """`whole`: stored outcomes by measurement. Raises `NotMeasuredError`."""
        gateway, relay = points(whole, GATEWAY), points(whole, RELAY)
        set_up = [run["figures"] for run in _runs(whole, "set-up") if run["bridge"] == Bridge.OURS]
        largest = [found[max(found)] for found in (gateway, relay)]
        return cls(
            gateway_cpu=line(gateway, _CPU),
            relay_cpu=line(relay, _CPU),
            gateway_redis_cpu=line(gateway, _REDIS_CPU),
            relay_redis_cpu=line(relay, _REDIS_CPU),
            gateway_mb=line(gateway, "memory, MB"),
            relay_mb=line(relay, "memory, MB"),
            control_ms_per_call=fmean(figures["CPU of call-control, ms/call"] for figures in set_up),
            redis_mb_per_call=float(whole["alone"]["extra"]["stream_mb"]),
            redis_in_kb=max(figures["Redis in, KB/s/call"] for figures in largest),
            redis_out_kb=sum(figures["Redis out, KB/s/call"] for figures in largest),
            bandwidth=bandwidth,
        )


Plan = dict[str, float]
"""Rows of the plan: counts are integers."""


def plan(calls: int, measured: Measured, assumed: Assumed) -> Plan:
    per_min = calls * 60 / assumed.mean_call_s
    gateway_calls = pod_calls(measured.gateway_cpu, assumed)
    relay_calls = pod_calls(measured.relay_cpu, assumed)
    budget_ms = assumed.busy * CORE_MS
    control_ms = per_min / 60 * measured.control_ms_per_call
    # Each pod has its own readers, so the cost of a call is that at the size of a pod. Appends are counted twice here.
    redis_ms = measured.gateway_redis_cpu.at(gateway_calls) / gateway_calls
    redis_ms += measured.relay_redis_cpu.at(relay_calls) / relay_calls
    tokens_per_s = assumed.tokens_in_per_s + assumed.tokens_out_per_s * assumed.agent_talks
    by_connections = ceil(per_min / assumed.connections_per_min)
    by_tokens = ceil(calls * tokens_per_s * 60 / assumed.tokens_per_min)
    quota_left = max(by_connections, by_tokens) * assumed.connections_per_min - per_min
    network, talks = measured.bandwidth, assumed.agent_talks
    return {
        "new calls a minute": round(per_min),
        "call-control: pods": ceil(control_ms / budget_ms) + assumed.spare_pods,
        "media-gateway: pods": ceil(calls / gateway_calls) + assumed.spare_pods,
        "media-gateway: calls per pod": gateway_calls,
        "media-gateway: MB per pod": round(measured.gateway_mb.at(gateway_calls)),
        "agent-relay: pods": ceil(calls / relay_calls) + assumed.spare_pods,
        "agent-relay: calls per pod": relay_calls,
        "agent-relay: MB per pod": round(measured.relay_mb.at(relay_calls)),
        "Redis: primaries": ceil(calls * redis_ms / budget_ms),
        "Redis: MB, all primaries": round(calls * measured.redis_mb_per_call),
        "Redis: MB/s in": calls * measured.redis_in_kb / 1000,
        "Redis: MB/s out": calls * measured.redis_out_kb / 1000,
        "Redis: MB/s to replicas": calls * measured.redis_in_kb / 1000 * assumed.replicas,
        "ACS media: MB/s in": calls * network.acs_in_kb / 1000,
        "ACS media: MB/s out": calls * network.acs_out_kb * talks / 1000,
        "Voice Live: MB/s out": calls * network.voice_out_kb / 1000,
        "Voice Live: MB/s in": calls * network.voice_in_kb * talks / 1000,
        "Voice Live: resources for new connections": by_connections,
        "Voice Live: resources for tokens": by_tokens,
        "minutes until the calls of a dead relay have a session again": (
            min(calls, relay_calls) / quota_left if quota_left > 0 else inf
        ),
    }


def pod_calls(cpu: Line, assumed: Assumed) -> int:
    return max(1, min(cpu.calls_within(assumed.busy * CORE_MS), assumed.pod_calls_max))


# -- measured figures
def points(whole: Stored, service: str) -> dict[int, dict[str, float]]:
    """Calls → mean figures of the runs that kept up, with speech in deltas. Raises `NotMeasuredError`."""
    found: dict[int, list[dict[str, float]]] = {}
    for run in _runs(whole, "alone"):
        labels, figures = run["labels"], run["figures"]
        if (labels["service"], labels["shape"]) == (service, SHAPE) and figures[HANDLED] >= KEPT_UP_PCT:
            found.setdefault(labels["calls"], []).append(figures)
    if not found:
        raise NotMeasuredError(f"no run of {service} alone kept up: python -m bench alone")
    return {calls: means(some) for calls, some in sorted(found.items())}


def line(found: Mapping[int, Mapping[str, float]], name: str) -> Line:
    return Line.through(totals(found, name))


def totals(found: Mapping[int, Mapping[str, float]], name: str) -> dict[int, float]:
    """Calls → the figure summed over all calls."""
    return {n: figures[name] * (n if name.endswith("/call") else 1) for n, figures in found.items() if name in figures}


def means(some: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: fmean(figures[name] for figures in some) for name in some[0]}


def _runs(whole: Stored, name: str) -> list[dict[str, Any]]:
    if name not in whole:
        raise NotMeasuredError(f"not measured yet: python -m bench {name}")
    return list(whole[name]["runs"])
