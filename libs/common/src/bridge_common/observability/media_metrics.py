"""Metrics that media-gateway and agent-relay share."""

from __future__ import annotations

import time
from typing import Final

from bridge_common.observability.telemetry import Label, counter, gauge, histogram

CAPACITY: Final = gauge("bridge_capacity_calls", "Maximum calls of this process")
FRAME_DELAY: Final = histogram(
    "bridge_frame_delay_seconds",
    "Delay of an entry from the writer through Redis to the reader; one sample per second and call",
    (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    Label("direction", ("uplink", "downlink")),
)
WRITER_WAITING: Final = gauge("bridge_writer_waiting_entries", "Media entries that wait to be written to Redis")
WRITER_DROPPED: Final = counter(
    "bridge_writer_dropped_entries", "Media entries dropped because Redis did not store them in time"
)
BAD_ENTRIES: Final = counter("bridge_bad_entries", "Media stream entries that could not be decoded")


def observe_stamp(direction: str, at_us: int) -> None:
    """Record the delay of a latency probe. The clocks of writer and reader differ: a negative delay counts as 0."""
    FRAME_DELAY.labels(direction).observe(max(time.time() - at_us / 1_000_000, 0.0))
