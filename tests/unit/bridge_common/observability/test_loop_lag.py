"""A blocked event loop is visible in the histogram."""

from __future__ import annotations

import asyncio
import time

from bridge_common.observability.loop_lag import LoopLag
from bridge_common.observability.telemetry import REGISTRY
from tests.support.eventually import eventually


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"bridge_event_loop_lag_seconds_{name}", labels) or 0.0


async def test_the_delay_of_a_timer_is_observed() -> None:
    lag = LoopLag(period_s=0.01)
    late = sample("count") - sample("bucket", le="0.1")
    lag.start()
    time.sleep(0.15)  # noqa: ASYNC251  # the loop must be blocked
    await eventually(lambda: sample("count") - sample("bucket", le="0.1") > late)
    lag.stop()
    counted = sample("count")
    await asyncio.sleep(0.03)
    assert sample("count") == counted, "it was stopped"


async def test_stop_before_start_does_nothing() -> None:
    LoopLag().stop()
