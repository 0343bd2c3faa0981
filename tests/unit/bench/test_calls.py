from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.bridges import Bridge, Shape
from bench.calls import clean, measure
from bench.runs import Figures, Options, Run


def test_each_shape_and_size_is_measured_with_both_bridges() -> None:
    def run(bridge: Bridge, shape: Shape, count: int, seconds: float, _folder: Path) -> Figures:
        return {"CPU, ms/s/call": count, "uplink p50, ms": seconds, "delta, ms": shape.delta_ms}

    outcome = measure(Options(calls=(10, 20), seconds=3.0, runs=2), run)
    assert len(outcome.runs) == 2 * 2 * 2 * 2
    assert outcome.runs[2].labels == {"calls": 10, "shape": "deltas"}
    assert outcome.runs[2].figures == {"CPU, ms/s/call": 10, "uplink p50, ms": 3.0, "delta, ms": 250}
    assert set(outcome.limits) == {"CPU, ms/s/call"} | {
        f"{way} {share}, ms" for way in ("uplink", "downlink") for share in ("p50", "p99")
    }


def test_a_clean_run_answered_every_call_and_lost_no_frame(call_run: Callable[..., Run]) -> None:
    assert clean(call_run().figures)
    for wrong in ({"frames at fault": 1}, {"calls not answered": 1}, {"frames": 0}):
        assert not clean(call_run(**wrong).figures)
