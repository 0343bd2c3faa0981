"""Runs as the benchmark measures them, for the tests of what is calculated from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from bench.alone import TRAFFIC, AloneRun
from bench.bridges import REFERENCE, Bridge, Shape
from bench.call_run import Run
from bench.figures import Delays
from bench.service_traffic import GATEWAY, RELAY


@pytest.fixture
def call_run() -> Callable[..., Run]:
    return _call_run


def _call_run(
    bridge: Bridge = Bridge.OURS,
    *,
    shape: Shape = Shape.DELTAS,
    calls: int = 40,
    cpu_ms: float = 8.0,
    lost: int = 0,
    p99: float = 7.0,
) -> Run:
    ours = {"call-control": 0.5, "media-gateway": cpu_ms / 2, "agent-relay": cpu_ms / 2 - 1.5, "redis": 1.0}
    cpu = ours if bridge is Bridge.OURS else {REFERENCE: cpu_ms}
    return Run(
        bridge=bridge,
        shape=shape,
        calls=calls,
        answered=calls,
        cpu_ms=cpu,
        cpu_together_ms=cpu_ms,
        cpu_simulators_ms=5.0,
        busy_cores=0.5,
        uplink=Delays(1000, 3.0, 5.0, p99, 9.0),
        downlink=Delays(1000, 3.0, 5.0, p99, 9.0),
        resampler_ms=(1.67, 1.69),
        underruns=0,
        frames=1000,
        faults={"lost": lost, "repeated": 0, "disordered": 0, "foreign": 0},
        mb_before=dict.fromkeys(cpu, 80.0),
        mb=dict.fromkeys(cpu, 84.0),
        steal_pct=4.0,
    )


@pytest.fixture
def alone_run() -> Callable[..., AloneRun]:
    return _alone_run


def _alone_run(
    service: str, calls: int, service_ms: float, *, shape: Shape = Shape.DELTAS, handled: float = 1.0
) -> AloneRun:
    """`service_ms`: CPU per second and call."""
    return AloneRun(
        service=service,
        shape=shape,
        calls=calls,
        cpu_ms={service: service_ms, "redis": 0.8, TRAFFIC: 1.0},
        handled_share=handled,
        kept_up=handled >= 0.98,
        rss_mb_idle=80.0,
        rss_mb=80 + 0.1 * calls,
        redis_in_bytes=110_000,
        redis_out_bytes=50_000,
    )


@pytest.fixture
def sizing_figures() -> dict[str, Any]:
    """All inputs of a plan; the gateway costs 30 + 3 n ms a second, the relay 60 + 2 n."""
    runs = [
        asdict(_alone_run(service, calls, (fixed + each * calls) / calls))
        for service, fixed, each in ((GATEWAY, 30.0, 3.0), (RELAY, 60.0, 2.0))
        for calls in (20, 50, 100, 200)
    ]
    whole = {
        "alone": {"runs": runs, "stream_mb": 3.0},
        "set-up": {"cpu_ms_per_call": {"call-control": 30.0}},
    }
    stored: dict[str, Any] = json.loads(json.dumps(whole))
    return stored
