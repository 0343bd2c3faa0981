"""Each service by itself, as small as it can be: that the traffic is admitted and handled, not what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.alone import TRAFFIC, run_alone
from bench.bridges import Shape
from bench.service_traffic import GATEWAY, RELAY


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("service", "shape"), [(GATEWAY, Shape.DELTAS), (RELAY, Shape.ECHO)])
def test_a_few_calls_in_one_service_are_measured(
    service: str, shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    run = run_alone(service, shape, 3, 2.0, tmp_path)
    assert run.handled_share > 0.8, run
    assert set(run.cpu_ms) == {service, "redis", TRAFFIC}
    assert all(ms > 0 for ms in run.cpu_ms.values())
    assert run.redis_in_bytes > 50_000
