"""A small fleet for tests: relays of 40 and gateways of 80 calls, drains of 100 s."""

from __future__ import annotations

import pytest

from bench.sizing.simulation.arrivals import Curve
from bench.sizing.simulation.autoscaler import ScalingPolicy, ScalingRules, ScalingSpec
from bench.sizing.simulation.deployment import PodSpec
from bench.sizing.simulation.drains import DrainTimes
from bench.sizing.simulation.fleet import Demand, FleetSpec
from bench.sizing.simulation.nodes import NodeSpec
from bench.sizing.simulation.voice import VoiceTimes

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
