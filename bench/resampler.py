"""CPU time of resampling one 20 ms frame: the resampler in use beside the reference implementation."""

from __future__ import annotations

import random
import timeit
from typing import Final

from bench.figures import paired_ratio, spread
from bench.report import Cell, Options, Outcome, Table
from media_gateway.core.rate_change import RESAMPLER, RateChange
from media_gateway.core.resampler import Resampler

_FRAMES: Final = 1000
_ROUNDS: Final = 7


def measure(_options: Options) -> Outcome:
    rows: list[list[Cell]] = []
    for from_hz, to_hz in ((16_000, 24_000), (24_000, 16_000)):
        frame = random.Random(1).randbytes(from_hz // 50 * 2)
        ours, reference = RESAMPLER(from_hz, to_hz), Resampler(from_hz, to_hz)
        rounds = [(us_per_frame(ours, frame), us_per_frame(reference, frame)) for _ in range(_ROUNDS)]
        own, base = ([one[side] for one in rounds] for side in (0, 1))
        ratio = paired_ratio(own, base).text()
        rows.append([f"{from_hz // 1000} → {to_hz // 1000} kHz", spread(own), spread(base), ratio])
    columns = ["", RESAMPLER.__name__, f"reference ({Resampler.__module__})", "ratio"]
    note = "Quality, delay and equality of both are held by the gateway's unit tests."
    return Outcome([Table("Resampling a 20 ms frame, µs", columns, rows, (note,))])


def us_per_frame(resampler: RateChange, frame: bytes, frames: int = _FRAMES) -> float:
    return timeit.timeit(lambda: resampler.feed(frame), number=frames) / frames * 1e6
