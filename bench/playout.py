"""What a call's playout costs: a quarter of a second of speech queued, and let go on the beat."""

from __future__ import annotations

import time

from bench.table import Table
from bridge_common.wire.audio import VOICE_RATE_HZ, bytes_of_ms
from media_gateway.core.playout import Playout

DELTA_MS = 250
_BEAT_S = 0.02
_DELTAS = 2000


def measure(repeats: int) -> list[Table]:
    us = min(_us_of_a_delta() for _ in range(repeats))
    idle = Playout()
    beats = 100_000
    began = time.perf_counter()
    for _ in range(beats):
        idle.next_at()
    idle_us = (time.perf_counter() - began) / beats * 1e6
    rows: list[list[str | float]] = [
        [f"a delta of {DELTA_MS} ms, in and out", us],
        ["the same, for each 20 ms", us * 20 / DELTA_MS],
        ["a beat with nothing to play", idle_us],
    ]
    return [Table("Playout", ["", "µs"], rows)]


def _us_of_a_delta() -> float:
    """A steady stream at real time; the beat comes as often as in the gateway."""
    playout, pcm = Playout(), bytes(bytes_of_ms(DELTA_MS, VOICE_RATE_HZ))
    now, next_delta = 0.0, 0.0
    sent = pushed = 0
    began = time.perf_counter()
    while pushed < _DELTAS:
        if now >= next_delta:
            playout.push("item", pcm)
            pushed += 1
            next_delta += DELTA_MS / 1000
        sent += sum(len(chunk.pcm24k) for chunk in playout.due(now).chunks)
        now += _BEAT_S
    took = time.perf_counter() - began
    if sent < (pushed - 2) * len(pcm):
        raise RuntimeError(f"the playout kept back {pushed * len(pcm) - sent} bytes")
    return took / pushed * 1e6
