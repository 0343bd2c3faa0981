from __future__ import annotations

import time

from bench.bridges import Bridge
from bench.resampler import measure, us_per_frame
from bench.runs import Options
from media_gateway.core.rate_change import SameRate


class Slow(SameRate):
    def feed(self, pcm: bytes) -> bytes:
        until = time.perf_counter() + 0.002
        while time.perf_counter() < until:
            pass
        return pcm


def test_the_time_is_that_of_one_frame() -> None:
    assert us_per_frame(Slow(), 16_000, frames=5) >= 2000
    assert 0 < us_per_frame(SameRate(), 16_000, frames=5) < 2000


def test_both_directions_are_measured_with_both_resamplers() -> None:
    outcome = measure(Options(runs=1))
    assert [run.bridge for run in outcome.runs] == list(Bridge)
    assert all(set(run.figures) == {"16 → 24 kHz, µs", "24 → 16 kHz, µs"} for run in outcome.runs)
