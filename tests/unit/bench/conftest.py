"""Figures as the benchmark measures them, for the tests of what is calculated from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from bench.alone import HANDLED
from bench.bridges import Bridge
from bench.call_run import CPU
from bench.runs import Outcome, Run
from bench.service_traffic import GATEWAY, RELAY


@pytest.fixture
def call_run() -> Callable[..., Run]:
    return _call_run


def _call_run(
    bridge: Bridge = Bridge.OURS, *, calls: int = 40, cpu_ms: float = 8.0, p99: float = 7.0, **others: float
) -> Run:
    ours = {"CPU of media-gateway, ms/s/call": cpu_ms / 2, "CPU of agent-relay, ms/s/call": cpu_ms / 2 - 1.5}
    delays = {f"{way} {name}, ms": ms for way in ("uplink", "downlink") for name, ms in (("p50", 3.0), ("p99", p99))}
    faults = {"frames": 1000, "frames at fault": 0, "calls not answered": 0}
    figures = {CPU: cpu_ms, **delays, **faults, **(ours if bridge is Bridge.OURS else {})}
    return Run({"calls": calls, "shape": "deltas"}, bridge, figures | others)


@pytest.fixture
def sizing_figures() -> dict[str, Any]:
    """All inputs of a plan; the gateway costs 30 + 3 n ms a second, the relay 60 + 2 n."""
    alone = [
        Run(
            {"service": service, "shape": "deltas", "calls": calls},
            Bridge.OURS,
            {
                CPU: (fixed + each * calls) / calls,
                "CPU of redis, ms/s/call": 0.8,
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
    whole = {
        "alone": asdict(Outcome("Alone", alone, extra={"stream_mb": 3.0}, compared=False)),
        "set-up": asdict(Outcome("Set-up", set_up)),
    }
    stored: dict[str, Any] = json.loads(json.dumps(whole))
    return stored
