from __future__ import annotations

import time

from bench.report import Options
from bench.resampler import measure, us_per_frame
from media_gateway.core.rate_change import SameRate


class Slow(SameRate):
    def feed(self, pcm: bytes) -> bytes:
        until = time.perf_counter() + 0.002
        while time.perf_counter() < until:
            pass
        return pcm


def test_the_time_is_that_of_one_frame() -> None:
    assert us_per_frame(Slow(), b"", frames=5) >= 2000
    assert 0 < us_per_frame(SameRate(), b"", frames=5) < 2000


def test_both_directions_are_measured() -> None:
    (table,) = measure(Options()).tables
    assert [row[0] for row in table.rows] == ["16 → 24 kHz", "24 → 16 kHz"]
    assert all(len(row) == len(table.columns) for row in table.rows)
