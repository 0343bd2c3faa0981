"""Benchmark of the resampler: CPU time for one 20 ms frame, of the installed one and of the implementation in numpy."""

from __future__ import annotations

import random
import timeit

from bench.bridges import Bridge
from bench.runs import Figures, Labels, Options, Outcome, alternate
from media_gateway.core.rate_change import RESAMPLER, RateChange
from media_gateway.core.resampler import Resampler


def measure(options: Options) -> Outcome:
    def run(_: Labels, bridge: Bridge) -> Figures:
        make = RESAMPLER if bridge is Bridge.OURS else Resampler
        ways = ((16_000, 24_000), (24_000, 16_000))
        return {f"{way[0] // 1000} → {way[1] // 1000} kHz, µs": us_per_frame(make(*way), way[0]) for way in ways}

    notes = [f"Ours: {RESAMPLER.__name__}, reference: {Resampler.__name__}. Unit tests hold their quality and delay."]
    return Outcome("Resampling a 20 ms frame", *alternate(options.runs, [{}], run), notes)


def us_per_frame(resampler: RateChange, rate_hz: int, frames: int = 1000) -> float:
    frame = random.Random(1).randbytes(rate_hz // 50 * 2)
    return timeit.timeit(lambda: resampler.feed(frame), number=frames) / frames * 1e6
