"""Exports the metrics over OTLP: the series of /metrics, sent once a minute, for places where nothing scrapes.

The metrics of the SDK have no instrument that reports a histogram that was counted elsewhere. So this module converts
the registry into the SDK's data model, and gives it to the SDK's exporter.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricExporter,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as ExportedMetric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import Metric
from prometheus_client.samples import Sample

from bridge_common.observability.telemetry import REGISTRY

log = logging.getLogger(__name__)

_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE
_STARTED_NS: Final = time.time_ns()
_PERIOD_MS: Final = 60_000
_STOP_S: Final = 3.0


class MetricExport:
    """Sends the metrics in a thread of its own: every `period_s`, and a last time when it stops."""

    def __init__(self, exporter: MetricExporter, resource: Resource, period_s: float) -> None:
        self._exporter = exporter
        self._resource = resource
        self._period_s = period_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metric export", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        while not self._stopping.wait(self._period_s):
            self._send()
        self._send()
        self._exporter.shutdown()

    def _send(self) -> None:
        try:
            self._exporter.export(metrics_data(self._resource, REGISTRY.collect(), time.time_ns()))
        except Exception:
            # Some gauges read objects of the event loop's thread, which may change meanwhile.
            log.warning("failed to export metrics; retrying in the next period", exc_info=True)


def export_metrics(resource: Resource) -> MetricExport:
    """Export the metrics of this process to the endpoint in the environment."""
    period_ms = float(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL") or _PERIOD_MS)
    return MetricExport(OTLPMetricExporter(), resource, period_ms / 1000)


def metrics_data(resource: Resource, families: Iterable[Metric], now_ns: int) -> MetricsData:
    metrics = [
        ExportedMetric(family.name, family.documentation, "", data)
        for family in families
        if (data := _data(family, now_ns)) is not None
    ]
    scope = ScopeMetrics(InstrumentationScope("bridge"), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _data(family: Metric, now_ns: int) -> Sum | Gauge | Histogram | None:
    if not family.samples:
        return None
    match family.type:
        case "counter":
            points = [_number(one, _STARTED_NS, now_ns) for one in family.samples if one.name.endswith("_total")]
            return Sum(points, _CUMULATIVE, is_monotonic=True)
        case "gauge":
            return Gauge([_number(one, None, now_ns) for one in family.samples])
        case "histogram":
            return Histogram(list(_histograms(family.samples, now_ns)), _CUMULATIVE)
        case _:
            return None


def _number(sample: Sample, start_ns: int | None, now_ns: int) -> NumberDataPoint:
    return NumberDataPoint(sample.labels, start_ns, now_ns, sample.value)  # type: ignore[arg-type]  # None for gauges


def _histograms(samples: Iterable[Sample], now_ns: int) -> Iterator[HistogramDataPoint]:
    """Convert the buckets: those of Prometheus include the smaller ones."""
    buckets: dict[tuple[tuple[str, str], ...], list[tuple[float, int]]] = defaultdict(list)
    sums: dict[tuple[tuple[str, str], ...], float] = {}
    for sample in samples:
        labels = tuple((name, value) for name, value in sample.labels.items() if name != "le")
        if sample.name.endswith("_bucket"):
            buckets[labels].append((float(sample.labels["le"]), int(sample.value)))
        elif sample.name.endswith("_sum"):
            sums[labels] = sample.value
    for labels, found in buckets.items():
        counts = [count for _, count in found]
        yield HistogramDataPoint(
            attributes=dict(labels),
            start_time_unix_nano=_STARTED_NS,
            time_unix_nano=now_ns,
            count=counts[-1],
            sum=sums[labels],
            bucket_counts=[count - before for before, count in zip([0, *counts], counts, strict=False)],
            explicit_bounds=[bound for bound, _ in found if bound != math.inf],
            min=None,  # type: ignore[arg-type]  # optional in the protocol
            max=None,  # type: ignore[arg-type]
        )
