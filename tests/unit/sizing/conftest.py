"""Inputs of the capacity model for tests: measured figures, and the model as it is deployed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from bench.alone import HANDLED
from bench.bridges import Bridge
from bench.runs import Outcome, Run
from bench.service_traffic import GATEWAY, RELAY
from sizing import deployed
from sizing.measured import CPU, REDIS_CPU, load
from sizing.plan import Assumed, Model


@pytest.fixture
def whole() -> dict[str, Any]:
    """Return stored outcomes. The gateway costs 30 + 3 n ms a second, the relay 60 + 2 n."""
    alone = [
        Run(
            {"service": service, "shape": "deltas", "calls": calls},
            Bridge.OURS,
            {
                CPU: (fixed + each * calls) / calls,
                REDIS_CPU: 0.8,
                "memory, MB": 80 + 0.1 * calls,
                "Redis in, KB/s/call": 110.0,
                "Redis out, KB/s/call": 50.0,
                HANDLED: 100.0,
            },
        )
        for service, fixed, each in ((GATEWAY, 30.0, 3.0), (RELAY, 60.0, 2.0))
        for calls in (20, 50, 100, 200)
    ]
    set_up = [
        Run({}, bridge, {"CPU of call-control, ms/call": ms}) for bridge, ms in zip(Bridge, (30.0, 0.0), strict=True)
    ]
    outcomes = {
        "alone": asdict(Outcome("Alone", alone, extra={"stream_mb": 3.0}, compared=False)),
        "set-up": asdict(Outcome("Set-up", set_up)),
    }
    stored: dict[str, Any] = json.loads(json.dumps(outcomes))
    return stored


@pytest.fixture(scope="session")
def model() -> Model:
    return Model(load().measured, deployed.read(), Assumed())
