"""Metrics: helpers for prometheus-client with closed label sets, and the metrics that the services share."""

from __future__ import annotations

import itertools
import platform
import re
import time
from collections.abc import Iterable, Sequence
from typing import Final, Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

REGISTRY: Final = CollectorRegistry()
OTHER: Final = "other"
_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")
MOST_SERIES: Final = 256
"""Limit for the series that a metric has from the start."""

# They would double the number of series. Prometheus does not need them: each series starts with 0 at process start.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it bare

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


class Label:
    """A label with a closed set of values: any other value is counted as `other`, so that no peer can create time
    series.

    `values`: the known values. `most`: how many others may be added when they are first seen; for names from settings
    or code, never from a request. Create their series with `labels` as soon as the names are known.
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
    """A metric whose labels all have a closed set of values. `labels` creates the series, with 0, if it does not exist.

    Prometheus sees an increase only between two values: the first event of a series that begins with 1 is in no rate.
    """

    closed: tuple[Label, ...] = ()

    def labels(self, *values: object, **named: object) -> Self:
        """Return the child metric. Values in the order of the labels."""
        return super().labels(*(label.of(value) for label, value in zip(self.closed, values, strict=True)), **named)

    def close(self, labels: tuple[Label, ...], series: Iterable[Sequence[str]] | None = None) -> None:
        """Set the labels, and create the `series`; None: all combinations of the known values.

        Raises `ValueError` if they are more than `MOST_SERIES`.
        """
        self.closed = labels
        if not labels or any(label.most for label in labels):
            return
        if series is None:
            series = itertools.product(*(sorted(label.values) for label in labels))
        found = list(series)
        if len(found) > MOST_SERIES:
            raise ValueError(f"{self} would have {len(found)} series, more than {MOST_SERIES}; list the possible ones")
        for values in found:
            self.labels(*values)


class _Counter(Labeled, Counter):
    pass


class _Gauge(Labeled, Gauge):
    pass


class _Histogram(Labeled, Histogram):
    pass


def counter(name: str, help_text: str, *labels: Label, series: Iterable[Sequence[str]] | None = None) -> Counter:
    """Create a counter. `series`: the combinations of label values that are possible, if not all are."""
    metric = _Counter(name, help_text, _names(labels), registry=REGISTRY)
    metric.close(labels, series)
    return metric


def gauge(name: str, help_text: str, *labels: Label) -> Gauge:
    metric = _Gauge(name, help_text, _names(labels), registry=REGISTRY)
    metric.close(labels)
    return metric


def histogram(name: str, help_text: str, buckets: tuple[float, ...], *labels: Label) -> Histogram:
    """Create a histogram. `buckets`: upper bounds, in the unit at the end of the metric's name."""
    metric = _Histogram(name, help_text, _names(labels), buckets=buckets, registry=REGISTRY)
    metric.close(labels)
    return metric


def _names(labels: Sequence[Label]) -> list[str]:
    return [label.name for label in labels]


ACTIVE_CALLS: Final = Gauge("bridge_active_calls", "Calls that this process handles", registry=REGISTRY)
DRAINING: Final = Gauge("bridge_draining", "1 while the process drains", registry=REGISTRY)
READY: Final = Gauge("bridge_ready", "1 while /readyz is 200; updated twice a second", registry=REGISTRY)
REDIS_OUTAGES: Final = counter(
    "bridge_redis_outages",
    "Outages of Redis, of the media streams (read, write) or of the heartbeat (control)",
    Label("part", ("read", "write", "control")),
)
CONNECTIONS_DROPPED: Final = counter(
    "bridge_connections_dropped",
    "Connections that the process aborted, by reason",
    Label("reason", ("total", "source", "slow", "frames", "slow_body", "unread", "linger")),
)
PENDING_CONNECTIONS: Final = Gauge(
    "bridge_pending_connections", "Connections whose peer is not authenticated yet", registry=REGISTRY
)
_BUILD: Final = Gauge(
    "bridge_build_info",
    "Always 1; the labels identify the build",
    ["service", "version", "revision", "python"],
    registry=REGISTRY,
)


def set_build(service: str, version: str, revision: str) -> None:
    """Set `bridge_build_info`. `revision`: of the source code; empty if it is unknown."""
    _BUILD.clear()
    _BUILD.labels(service, version, revision, platform.python_version()).set(1)


def exemplar(traceparent: str) -> dict[str, str] | None:
    """Return the exemplar that links an observation to the trace; None if the call is not traced or not sampled.
    `traceparent`: W3C Trace Context.
    """
    found = _TRACEPARENT.fullmatch(traceparent)
    return {"trace_id": found[1]} if found and int(found[2], 16) & 1 else None


def now_us() -> int:
    return time.time_ns() // 1000


def render(accept: str = "") -> tuple[bytes, str]:
    """Return all metrics and their content type: OpenMetrics, which has exemplars, if the header `accept` contains it,
    otherwise the text format of Prometheus.
    """
    encode, content_type = choose_encoder(accept)
    return encode(REGISTRY), content_type
