"""Runs of one service by itself as they would be measured, for tests of what is made of them."""

from __future__ import annotations

import json
from typing import Any

from bench.alone import summary
from bench.alone_driver import GATEWAY, RELAY
from bench.alone_run import DRIVER, AloneRun
from bench.bridges import Shape


def alone_run(
    service: str, calls: int, service_ms: float, *, shape: Shape = Shape.DELTAS, sent: float = 1.0, handled: float = 1.0
) -> AloneRun:
    """`service_ms`: CPU a second and call."""
    return AloneRun(
        service=service,
        shape=shape,
        calls=calls,
        seconds=10.0,
        cpu_ms={service: service_ms, "redis": 0.8, DRIVER: 1.0},
        sent_share=sent,
        handled_share=handled,
        waited_share=0.05,
        rss_mb=80 + 0.1 * calls,
        rss_mb_idle=80.0,
        redis_mb=calls * 0.5,
        redis_in_bytes=110_000,
        redis_out_bytes=50_000,
        load_average=1.0,
        slowed_share=0.05,
    )


def sizing_figures() -> dict[str, Any]:
    """All that a plan is made of; the gateway costs 30 + 3 n ms a second, the relay 60 + 2 n."""
    runs = [
        alone_run(service, calls, (fixed + each * calls) / calls)
        for service, fixed, each in ((GATEWAY, 30.0, 3.0), (RELAY, 60.0, 2.0))
        for calls in (20, 50, 100, 200)
    ]
    whole = {
        "alone": summary(runs, (20, 50, 100, 200)) | {"stream_memory": {"deltas": {"mb": 3.0}}},
        "arrivals": {"ms_per_call": {"call-control": 30.0}},
    }
    stored: dict[str, Any] = json.loads(json.dumps(whole))
    return stored
