"""The plan for a number of concurrent calls: cells, pods, Redis, Voice Live resources, networks. docs/sizing.md has
the formulas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, exp, sqrt
from typing import Final

from agent_relay.voice.connection_quota import Urgency
from sizing.deployed import CONTROL, GATEWAY, RELAY, Deployed
from sizing.measured import Measured
from sizing.simulation.token_quota import BACK_AFTER_S

CORE_MS: Final = 1000.0
DEVIATIONS: Final = 3.0
"""Arrivals that the quota must admit, in standard deviations above the mean."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """Inputs that the operator chooses: traffic, quotas, reserves and nodes."""

    mean_call_s: float = 180.0
    agent_talks: float = 0.5
    """Fraction of the call during which the agent talks. Applies to networks and tokens; CPU is measured with an agent
    that talks all the time.
    """
    busy: float = 0.6
    """Target utilization of a core, for the services and for Redis."""
    replicas: int = 1
    """Replicas of each Redis server."""
    tokens_per_min: int = 120_000
    """Token quota of one Voice Live resource."""
    tokens_in_per_s: float = 10.0
    """Input tokens during the whole call, for a model that processes the caller's audio."""
    tokens_out_per_s: float = 20.0
    """Output tokens while the agent talks."""
    node_cpu_m: int = 3200
    """Millicores of a node for these services: 4 vCPUs, less what the system and monitoring use."""
    nodes_min: int = 3
    """One in each availability zone."""


@dataclass(frozen=True, slots=True)
class Model:
    """All inputs of a plan."""

    measured: Measured
    deployed: Deployed
    assumed: Assumed

    def per_min(self, calls: float) -> float:
        """Return the arrivals per minute that keep this number of calls (Little's law)."""
        return calls * 60 / self.assumed.mean_call_s

    def pods(self, service: str, calls: int) -> int:
        """Return the replicas that the autoscaler requests for this number of calls."""
        scaling, deployed = self.deployed.scaling(service), self.deployed
        buffer = max(deployed.buffer_calls, calls * deployed.buffer_percent / 100) if service != CONTROL else 0.0
        return min(max(ceil((calls + buffer) / scaling.target), scaling.minimum), scaling.maximum)

    def redis_ms(self, calls: int, primaries: int = 1) -> float:
        """Return the CPU of each Redis primary, in ms per second. Each pod reads from every primary, hence the fixed
        parts.
        """
        gateway, relay = self.measured.gateway_redis_cpu, self.measured.relay_redis_cpu
        fixed = self.pods(GATEWAY, calls) * gateway.fixed + self.pods(RELAY, calls) * relay.fixed
        return fixed + calls / primaries * (gateway.each + relay.each)

    def cell_calls(self, primaries: int = 1) -> int:
        """Return the most calls that one Redis primary carries, or a cluster of several."""
        budget, calls = self.assumed.busy * CORE_MS, 1
        while self.redis_ms(calls + 1, primaries) <= budget:
            calls += 1
        return calls

    def resources(self, calls: int) -> int:
        """Return the Voice Live resources of a cell: for arrivals, a draining relay and a dead one at the same time."""
        deployed, relay = self.deployed, self.deployed.services[RELAY]
        in_use = self.per_min(calls) * BACK_AFTER_S / 60
        arriving = in_use + DEVIATIONS * sqrt(in_use)
        of_one_relay = min(calls, deployed.scaling(RELAY).target)
        handed_over = of_one_relay * exp(-relay.drain_s / 2 / self.assumed.mean_call_s)
        for_new = (arriving + handed_over) / int(deployed.connections_per_min * deployed.shares[Urgency.NEW])
        for_all = (arriving + handed_over + of_one_relay) / deployed.connections_per_min
        return max(ceil(for_new), ceil(for_all), self.resources_for_tokens(calls))

    def resources_for_tokens(self, calls: int) -> int:
        assumed = self.assumed
        per_s = assumed.tokens_in_per_s + assumed.tokens_out_per_s * assumed.agent_talks
        return ceil(calls * per_s * 60 / assumed.tokens_per_min)

    def nodes(self, calls: int) -> int:
        """Return the nodes of a cell by its CPU requests."""
        cpu_m = sum(self.pods(name, calls) * one.cpu_m for name, one in self.deployed.services.items())
        return max(self.assumed.nodes_min, ceil(cpu_m / self.assumed.node_cpu_m))


Plan = Mapping[str, float]
"""The rows of the plan. Counts are integers."""


def cells(model: Model, calls: int) -> tuple[int, int]:
    """Return the number of cells, and the calls of each."""
    number = ceil(calls / model.cell_calls())
    return number, ceil(calls / number)


def plan(model: Model, calls: int) -> Plan:
    number, each = cells(model, calls)
    measured, assumed, network = model.measured, model.assumed, model.measured.bandwidth
    talks = assumed.agent_talks
    resources = model.resources(each)
    new_per_resource = int(model.deployed.connections_per_min * model.deployed.shares[Urgency.NEW])
    cpu_m = sum(number * model.pods(name, each) * one.cpu_m for name, one in model.deployed.services.items())
    return {
        "new calls a minute": round(model.per_min(calls)),
        "cells": number,
        "call-control: pods": number * model.pods(CONTROL, each),
        "media-gateway: pods": number * model.pods(GATEWAY, each),
        "agent-relay: pods": number * model.pods(RELAY, each),
        "nodes of 4 vCPUs": max(assumed.nodes_min, ceil(cpu_m / assumed.node_cpu_m)),
        "Redis: primaries": number,
        "Redis: % of a core, each": round(model.redis_ms(each) / CORE_MS * 100),
        "Redis: MB, each": round(each * measured.redis_mb_per_call),
        "Redis: MB/s in": calls * measured.redis_in_kb / 1000,
        "Redis: MB/s out": calls * measured.redis_out_kb / 1000,
        "Redis: MB/s to replicas": calls * measured.redis_in_kb / 1000 * assumed.replicas,
        "Voice Live: resources": number * resources,
        "Voice Live: resources of a cell": resources,
        "`CALLS_PER_MIN` of a cell": resources * new_per_resource,
        "ACS media: MB/s in": calls * network.acs_in_kb / 1000,
        "ACS media: MB/s out": calls * network.acs_out_kb * talks / 1000,
        "Voice Live: MB/s out": calls * network.voice_out_kb / 1000,
        "Voice Live: MB/s in": calls * network.voice_in_kb * talks / 1000,
    }
