from __future__ import annotations

from dataclasses import replace

from bench.ramp import holds, per_core
from bench.spread import Delays
from tests.unit.support.bench_runs import made_run


def test_a_step_holds_until_a_p99_leaves_the_limit_or_a_frame_is_lost() -> None:
    assert holds(made_run())
    assert not holds(made_run(lost=1))
    assert not holds(replace(made_run(), answered=39))
    assert not holds(replace(made_run(), downlink=Delays(10, 1.0, 2.0, 20.5, 21.0)))
    assert not holds(replace(made_run(), uplink=Delays.of([]))), "nothing was measured"


def test_calls_per_core_are_calculated_from_the_cpu_of_one() -> None:
    assert per_core(made_run(cpu_ms=8.0)) == {
        "call-control": 2000,
        "media-gateway": 250,
        "agent-relay": 400,
        "redis": 1000,
    }
