"""The metrics of a process: prometheus-client objects in one registry, named here so that dashboards find them."""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

REGISTRY: Final = CollectorRegistry()
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

ACTIVE_CALLS: Final = Gauge("bridge_active_calls", "Calls this process works for now", registry=REGISTRY)
DRAINING: Final = Gauge("bridge_draining", "1 while the process admits nothing new", registry=REGISTRY)
FRAME_DELAY: Final = Histogram(
    "bridge_frame_delay_seconds",
    "From the writer's append to the reader's sink, through Redis; one sample a second for each call",
    ("direction",),
    buckets=(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    registry=REGISTRY,
)
WRITER_WAITING: Final = Gauge(
    "bridge_writer_waiting_entries", "Media entries that wait to be written to Redis", registry=REGISTRY
)
WRITER_DROPPED: Final = Counter(
    "bridge_writer_dropped_entries", "Media entries dropped because Redis did not take them in time", registry=REGISTRY
)
REDIS_OUTAGES: Final = Counter(
    "bridge_redis_outages", "Times the media connection to Redis failed", ("part",), registry=REGISTRY
)
CONNECTIONS_DROPPED: Final = Counter(
    "bridge_connections_dropped",
    "Connections that the process ended at once, by reason",
    ("why",),
    registry=REGISTRY,
)
PENDING_CONNECTIONS: Final = Gauge(
    "bridge_pending_connections", "Connections whose peer has not yet proved that it may be here", registry=REGISTRY
)
BAD_ENTRIES: Final = Counter("bridge_bad_entries", "Entries of media streams that are none", registry=REGISTRY)


def counter(name: str, help_text: str, *labels: str) -> Counter:
    return Counter(name, help_text, labels, registry=REGISTRY)


def gauge(name: str, help_text: str, *labels: str) -> Gauge:
    return Gauge(name, help_text, labels, registry=REGISTRY)


def histogram(name: str, help_text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    """`buckets` are upper bounds in the unit that the name ends in."""
    return Histogram(name, help_text, labels, buckets=buckets, registry=REGISTRY)


def observe_stamp(direction: str, at_us: int) -> None:
    """How long an entry was under way. Of two clocks: what seems to come from the future took no time."""
    FRAME_DELAY.labels(direction).observe(max(time.time() - at_us / 1_000_000, 0.0))


def now_us() -> int:
    return time.time_ns() // 1000


def render() -> bytes:
    """All metrics in the text format that Prometheus reads."""
    return generate_latest(REGISTRY)
