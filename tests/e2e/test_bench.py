"""The benchmark of the whole system with a few calls. It must complete; its figures are not checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.bridges import OUR_PROCESSES, REFERENCE, Bridge, Shape
from bench.calls import CPU, clean, run_calls


@pytest.mark.timeout(120)
@pytest.mark.parametrize("bridge", list(Bridge))
def test_a_few_calls_through_each_bridge_are_measured(
    bridge: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    figures = run_calls(bridge, Shape.DELTAS, 3, 2.0, tmp_path)
    assert clean(figures), figures
    assert figures["frames"] > 3 * 2 * 60
    assert 0 < figures["uplink p50, ms"] <= figures["uplink p99, ms"]
    assert 0 < figures["downlink p50, ms"] <= figures["downlink p99, ms"]
    assert figures[CPU] > 0
    resamplers_ms = [figures[f"resamplers' part of {way}, ms"] for way in ("uplink", "downlink")]
    assert (min(resamplers_ms) > 1.0) is (bridge is Bridge.OURS)
    processes = OUR_PROCESSES if bridge is Bridge.OURS else (REFERENCE,)
    assert all(figures[f"memory of {name}, MB"] > 1 for name in processes)
    assert sum(figures[f"CPU of {name}, ms/s/call"] for name in processes) == pytest.approx(figures[CPU])
