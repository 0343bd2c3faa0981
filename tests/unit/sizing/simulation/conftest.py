"""Small fleets for tests: whole ones by their specification, and one whose calls the test adds."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest

from sizing.simulation.arrivals import Curve
from sizing.simulation.autoscaler import ScalingPolicy, ScalingRules, ScalingSpec
from sizing.simulation.clock import Clock
from sizing.simulation.counts import Counts
from sizing.simulation.deployment import Deployment, PodSpec
from sizing.simulation.drains import DrainTimes
from sizing.simulation.entities import Call, Phase, Pod
from sizing.simulation.fleet import Demand, FleetSpec
from sizing.simulation.media import Media
from sizing.simulation.nodes import Nodes, NodeSpec
from sizing.simulation.token_quota import TokenQuota
from sizing.simulation.voice import Voice, VoiceTimes

UP = ScalingRules(0, (ScalingPolicy("Percent", 100, 30),))
DOWN = ScalingRules(300, (ScalingPolicy("Pods", 1, 60),))


@pytest.fixture
def spec() -> FleetSpec:
    return FleetSpec(
        curve=Curve.level(50),
        mean_call_s=180.0,
        resources=3,
        connections_per_min=30,
        relay=PodSpec("relay", 200, 80, start_s=15.0, min_ready_s=60.0),
        gateway=PodSpec("gateway", 400, 160, start_s=15.0, min_ready_s=60.0),
        relay_scaling=ScalingSpec(2, 20, 40, UP, DOWN),
        gateway_scaling=ScalingSpec(2, 20, 80, UP, DOWN),
        demand=Demand(buffer_calls=10, buffer_percent=20, lag_s=0.0),
        voice=VoiceTimes(session_s=1.0, answer_deadline_s=8.0, reconnect_budget_s=20.0),
        relay_drain=DrainTimes(5.0, 100.0),
        gateway_drain=DrainTimes(5.0, 100.0),
        media_patience_s=20.0,
        node=NodeSpec(3200, 3, 180.0),
    )


@dataclass
class Stage:
    """Relays and gateways without arrivals, autoscaler or nodes that end. Calls are added by the test."""

    clock: Clock
    relays: Deployment
    gateways: Deployment
    quota: TokenQuota
    voice: Voice
    media: Media
    counts: Counts
    answered: list[Call]
    ended: list[Call]

    def connected(self, relay: Pod, resource: int = 0) -> Call:
        call = Call(self.clock.now, 1000.0, Phase.CONNECTED, relay, resource=resource)
        relay.calls[call] = None
        return call


@pytest.fixture
def stage() -> Stage:
    clock, counts, quota = Clock(), Counts(), TokenQuota(2, 10)
    nodes = Nodes(clock, NodeSpec(3200, 3, 180.0))
    answered, ended = list[Call](), list[Call]()

    def hang_up(call: Call) -> None:
        call.phase = Phase.OVER
        ended.append(call)

    relays, gateways = (
        Deployment(clock, nodes, PodSpec(kind, 200, capacity, 15.0, 60.0), lambda pod: None)
        for kind, capacity in (("relay", 20), ("gateway", 4))
    )
    times = VoiceTimes(session_s=1.0, answer_deadline_s=8.0, reconnect_budget_s=20.0)
    voice = Voice(clock, relays, quota, times, Random(1), counts, answered=answered.append, hang_up=hang_up)
    media = Media(clock, gateways, 20.0, counts, hang_up)
    relays.start(2)
    gateways.start(2)
    return Stage(clock, relays, gateways, quota, voice, media, counts, answered, ended)
