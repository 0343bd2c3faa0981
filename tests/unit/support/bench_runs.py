"""Runs of the benchmark as they would be measured, for tests of what is made of them."""

from __future__ import annotations

from bench.bridges import REFERENCE, Bridge, Shape
from bench.call_run import AllTime, Counts, Memory, Run
from bench.spread import Delays


def made_run(
    bridge: Bridge = Bridge.OURS, *, shape: Shape = Shape.DELTAS, calls: int = 40, cpu_ms: float = 8.0, lost: int = 0
) -> Run:
    ours = {"call-control": 0.5, "media-gateway": cpu_ms / 2, "agent-relay": cpu_ms / 2 - 1.5, "redis": 1.0}
    cpu = ours if bridge is Bridge.OURS else {REFERENCE: cpu_ms}
    delays = Delays(1000, 3.0, 5.0, 7.0, 9.0)
    return Run(
        bridge=bridge,
        shape=shape,
        calls=calls,
        answered=calls,
        seconds=10.0,
        cpu_ms=cpu,
        cpu_together_ms=cpu_ms,
        cpu_simulators_ms=5.0,
        busy_cores=0.5,
        uplink=delays,
        downlink=delays,
        resampler_ms=(1.67, 1.69),
        lead=Delays(1000, 190.0, 200.0, 210.0, 220.0),
        gaps=0,
        uplink_counts=Counts(500, lost, 0, 0, 0),
        downlink_counts=Counts(500, 0, 0, 0, 0),
        memory={name: Memory(80.0, 84.0, 0.1) for name in cpu},
        load_average=1.0,
        stolen_pct=4.0,
        slowed_pct=3.0,
        all_time=AllTime(cpu_ms + 1, Delays(1100, 3.0, 6.0, 17.0, 29.0), Delays(1100, 3.0, 6.0, 18.0, 29.0)),
    )
