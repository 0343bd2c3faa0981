from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench import ramp
from bench.bridges import Bridge, Shape
from bench.call_run import Run
from bench.figures import Delays
from bench.ramp import per_core, within_limit
from bench.report import Options

MakeRun = Callable[..., Run]


def test_a_step_is_within_the_limit_until_a_p99_breaks_it_or_a_frame_is_lost(call_run: MakeRun) -> None:
    assert within_limit(call_run())
    assert not within_limit(call_run(lost=1))
    assert not within_limit(replace(call_run(), answered=39))
    assert not within_limit(replace(call_run(), downlink=Delays(10, 1.0, 2.0, 50.5, 51.0)))
    assert not within_limit(replace(call_run(), uplink=Delays.of([]))), "nothing was measured"


def test_calls_per_core_follow_from_the_cpu_of_one(call_run: MakeRun) -> None:
    assert per_core(call_run(cpu_ms=8.0)) == {
        "call-control": 2000,
        "media-gateway": 250,
        "agent-relay": 400,
        "redis": 1000,
    }


def test_calls_are_raised_until_the_limit_is_broken(call_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(bridge: Bridge, shape: Shape, calls: int, _seconds: float, _folder: Path) -> Run:
        return call_run(bridge, shape=shape, calls=calls, p99=calls if bridge is Bridge.OURS else calls / 2)

    monkeypatch.setattr(ramp, "run_calls", run)
    outcome = ramp.measure(Options())
    assert {bridge: outcome.figures[bridge]["calls"] for bridge in Bridge} == {Bridge.OURS: 40, Bridge.REFERENCE: 100}
    assert [row[-1] for row in outcome.tables[0].rows] == ["yes", "yes", "no", *["yes"] * 5, "no"]
    assert outcome.figures["per_core"]["media-gateway"] == 250
