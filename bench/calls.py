"""Concurrent calls through our services and through the reference bridge."""

from __future__ import annotations

from itertools import product
from typing import Final

from bench.bridges import Bridge, Shape
from bench.call_run import CPU, run_calls
from bench.runs import Figures, Labels, Options, Outcome, alternate

LIMITS: Final = {
    CPU: 1.0,
    **{f"{way} {share}, ms": ms for way in ("uplink", "downlink") for share, ms in (("p50", 3.0), ("p99", 6.0))},
}
"""Delay: what Redis, the resampler and the playout's clock may add."""
_NOTES: Final = (
    "Delay: written on one socket to arrived on the other. Downlink: frames that need not wait in the playout.",
    "Frames at fault: lost, repeated, out of order or heard in another call. Underruns: the caller's audio ran dry.",
)


def measure(options: Options) -> Outcome:
    def run(labels: Labels, bridge: Bridge) -> Figures:
        return run_calls(bridge, Shape(str(labels["shape"])), int(labels["calls"]), options.seconds, options.folder)

    cases: list[Labels] = [{"calls": calls, "shape": str(shape)} for calls, shape in product(options.calls, Shape)]
    return Outcome("Calls", *alternate(options.runs, cases, run), _NOTES, LIMITS)
