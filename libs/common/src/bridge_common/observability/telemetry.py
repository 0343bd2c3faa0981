"""Metrics: helpers for prometheus-client with closed label sets, and the metrics that the services share."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final, Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

REGISTRY: Final = CollectorRegistry()
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


class Label:
    """A label with a closed set of values: any other value is counted as `other`, so that no peer can create time
    series.

    `values`: the known values. `most`: how many others may be added when they are first seen; for names from settings
    or code, never from a request.
    """

    def __init__(self, name: str, values: Iterable[str] = (), *, most: int = 0) -> None:
        self.name = name
        self.values = frozenset(values)
        self.most = most
        self._seen: set[str] = set()

    def of(self, value: object) -> str:
        text = str(value)
        if text in self.values or text in self._seen:
            return text
        if len(self._seen) >= self.most:
            return OTHER
        self._seen.add(text)
        return text


class Labeled(MetricWrapperBase):
    """A metric whose labels all have a closed set of values."""

    closed: tuple[Label, ...] = ()

    def labels(self, *values: object, **named: object) -> Self:
        """Return the child metric. Values in the order of the labels."""
        return super().labels(*(label.of(value) for label, value in zip(self.closed, values, strict=True)), **named)


class _Counter(Labeled, Counter):
    pass


class _Gauge(Labeled, Gauge):
    pass


class _Histogram(Labeled, Histogram):
    pass


def counter(name: str, help_text: str, *labels: Label) -> Counter:
    metric = _Counter(name, help_text, _names(labels), registry=REGISTRY)
    metric.closed = labels
    return metric


def gauge(name: str, help_text: str, *labels: Label) -> Gauge:
    metric = _Gauge(name, help_text, _names(labels), registry=REGISTRY)
    metric.closed = labels
    return metric


def histogram(name: str, help_text: str, buckets: tuple[float, ...], *labels: Label) -> Histogram:
    """Create a histogram. `buckets`: upper bounds, in the unit at the end of the metric's name."""
    metric = _Histogram(name, help_text, _names(labels), buckets=buckets, registry=REGISTRY)
    metric.closed = labels
    return metric


def _names(labels: Sequence[Label]) -> list[str]:
    return [label.name for label in labels]


ACTIVE_CALLS: Final = Gauge("bridge_active_calls", "Calls that this process handles", registry=REGISTRY)
DRAINING: Final = Gauge("bridge_draining", "1 while the process drains", registry=REGISTRY)
FRAME_DELAY: Final = histogram(
    "bridge_frame_delay_seconds",
    "Delay of an entry from the writer through Redis to the reader; one sample per second and call",
    (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    Label("direction", ("uplink", "downlink")),
)
WRITER_WAITING: Final = Gauge(
    "bridge_writer_waiting_entries", "Media entries that wait to be written to Redis", registry=REGISTRY
)
WRITER_DROPPED: Final = Counter(
    "bridge_writer_dropped_entries", "Media entries dropped because Redis did not store them in time", registry=REGISTRY
)
REDIS_OUTAGES: Final = counter(
    "bridge_redis_outages", "Failures of the media connection to Redis", Label("part", ("read", "write"))
)
CONNECTIONS_DROPPED: Final = counter(
    "bridge_connections_dropped",
    "Connections that the process aborted, by reason",
    Label("reason", ("total", "source", "slow", "frames", "slow_body", "unread", "linger")),
)
PENDING_CONNECTIONS: Final = Gauge(
    "bridge_pending_connections", "Connections whose peer is not authenticated yet", registry=REGISTRY
)
BAD_ENTRIES: Final = Counter("bridge_bad_entries", "Media stream entries that could not be decoded", registry=REGISTRY)


def observe_stamp(direction: str, at_us: int) -> None:
    """Record the delay of a latency probe. The clocks of writer and reader differ: a negative delay counts as 0."""
    FRAME_DELAY.labels(direction).observe(max(time.time() - at_us / 1_000_000, 0.0))


def now_us() -> int:
    return time.time_ns() // 1000


def render() -> bytes:
    """Return all metrics in the text format of Prometheus."""
    return generate_latest(REGISTRY)
