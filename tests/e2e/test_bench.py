"""The benchmark of the whole system, as small as it can be: that it measures, not what."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.bridges import Bridge, Shape
from bench.call_run import run_calls


@pytest.mark.timeout(120)
@pytest.mark.parametrize("bridge", list(Bridge))
def test_a_few_calls_through_each_bridge_are_measured(
    bridge: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    run = run_calls(bridge, Shape.DELTAS, 3, 2.0, tmp_path)
    assert run.clean, run
    assert run.uplink.count > 3 * 60
    assert 3 * 4 <= run.downlink.count <= 3 * 8
    assert run.cpu_together_ms > 0
    assert (run.resampler_ms > (1.0, 1.0)) is (bridge is Bridge.OURS)
    assert set(run.mb) == set(run.mb_before) == set(run.cpu_ms)
