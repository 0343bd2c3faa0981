"""A loop that was held up shows in the histogram."""

from __future__ import annotations

import asyncio
import time

import pytest

from bridge_common.observability import loop_lag
from bridge_common.observability.loop_lag import LoopLag
from bridge_common.observability.telemetry import REGISTRY
from tests.support.eventually import eventually


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"bridge_event_loop_lag_seconds_{name}", labels) or 0.0


async def test_a_timer_that_is_late_is_counted_with_its_lateness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "PERIOD_S", 0.01)
    lag = LoopLag()
    late = sample("count") - sample("bucket", le="0.1")
    lag.start()
    time.sleep(0.15)  # noqa: ASYNC251  # the loop has to be held up
    await eventually(lambda: sample("count") - sample("bucket", le="0.1") > late)
    lag.stop()
    counted = sample("count")
    await asyncio.sleep(0.03)
    assert sample("count") == counted, "it was stopped"


async def test_it_can_be_stopped_before_it_was_started() -> None:
    LoopLag().stop()
