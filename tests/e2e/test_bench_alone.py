"""The benchmark of each service by itself with a few calls. The traffic must be accepted and handled; the cost is not
checked.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.alone import HANDLED, run_alone
from bench.bridges import Shape
from bench.service_traffic import GATEWAY, RELAY


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("service", "shape"), [(GATEWAY, Shape.DELTAS), (RELAY, Shape.ECHO)])
def test_a_few_calls_in_one_service_are_measured(
    service: str, shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    figures = run_alone(service, shape, 3, 2.0, tmp_path)
    assert figures[HANDLED] > 80, figures
    assert all(figures[f"{name}, ms/s/call"] > 0 for name in ("CPU", "CPU of redis"))
    assert figures["Redis in, KB/s/call"] > 50
