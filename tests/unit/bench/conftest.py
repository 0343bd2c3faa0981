"""Runs of calls for tests of the calculations."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.bridges import Bridge
from bench.calls import CPU
from bench.runs import Run


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
