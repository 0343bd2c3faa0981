from __future__ import annotations

from pathlib import Path

import pytest

from bench import calls
from bench.bridges import Bridge, Shape
from bench.runs import Figures, Options


def test_each_shape_and_size_is_measured_with_both_bridges(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(bridge: Bridge, shape: Shape, count: int, seconds: float, _folder: Path) -> Figures:
        return {"CPU, ms/s/call": count, "uplink p50, ms": seconds, "delta, ms": shape.delta_ms}

    monkeypatch.setattr(calls, "run_calls", run)
    outcome = calls.measure(Options(calls=(10, 20), seconds=3.0, runs=2))
    assert len(outcome.runs) == 2 * 2 * 2 * 2
    assert outcome.runs[2].labels == {"calls": 10, "shape": "deltas"}
    assert outcome.runs[2].figures == {"CPU, ms/s/call": 10, "uplink p50, ms": 3.0, "delta, ms": 250}
    assert set(outcome.limits) == {"CPU, ms/s/call"} | {
        f"{way} {share}, ms" for way in ("uplink", "downlink") for share in ("p50", "p99")
    }
