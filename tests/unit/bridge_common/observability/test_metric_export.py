"""The registry in the data model of OpenTelemetry, and the thread that sends it."""

from __future__ import annotations

import threading

import pytest
from opentelemetry.sdk.metrics.export import (
    Gauge,
    Histogram,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, Counter, Info
from prometheus_client import Gauge as PrometheusGauge
from prometheus_client import Histogram as PrometheusHistogram

from bridge_common.observability.metric_export import MetricExport, metrics_data

RESOURCE = Resource({"service.name": "call-control"})


class Kept(MetricExporter):
    """Keeps what it gets; the first export fails if `broken`."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__()
        self.sent: list[MetricsData] = []
        self.arrived = threading.Event()
        self.closed = False
        self._broken = broken

    def export(self, metrics_data: MetricsData, timeout_millis: float = 0, **_: object) -> MetricExportResult:
        if self._broken:
            self._broken = False
            raise RuntimeError("dictionary changed size during iteration")
        self.sent.append(metrics_data)
        self.arrived.set()
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 0, **_: object) -> None:
        self.closed = True


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def exported(registry: CollectorRegistry) -> dict[str, object]:
    [resource_metrics] = metrics_data(RESOURCE, registry.collect(), 5).resource_metrics
    assert resource_metrics.resource is RESOURCE
    [scope] = resource_metrics.scope_metrics
    return {metric.name: metric.data for metric in scope.metrics}


def test_counters_and_gauges(registry: CollectorRegistry) -> None:
    calls = Counter("calls", "Calls", ["status"], registry=registry)
    calls.labels("ended").inc(2)
    calls.labels("ringing")
    PrometheusGauge("depth", "Depth", registry=registry).set(-1.5)
    Info("build", "No metric of the services has this type", registry=registry).info({"version": "1"})
    Counter("empty", "Without series", ["x"], registry=registry)
    found = exported(registry)
    assert set(found) == {"calls", "depth"}
    sums, gauges = found["calls"], found["depth"]
    assert isinstance(sums, Sum)
    assert sums.is_monotonic
    assert [(dict(point.attributes or {}), point.value) for point in sums.data_points] == [
        ({"status": "ended"}, 2),
        ({"status": "ringing"}, 0),
    ]
    assert isinstance(gauges, Gauge)
    [point] = gauges.data_points
    assert isinstance(point, NumberDataPoint)
    assert (point.value, point.time_unix_nano) == (-1.5, 5)


def test_each_bucket_has_its_own_count(registry: CollectorRegistry) -> None:
    delay = PrometheusHistogram("delay_seconds", "Delay", ["part"], buckets=(0.1, 1.0), registry=registry)
    for value in (0.05, 0.1, 0.5, 3.0):
        delay.labels("a").observe(value)
    delay.labels("b")
    data = exported(registry)["delay_seconds"]
    assert isinstance(data, Histogram)
    found = {(point.attributes or {})["part"]: point for point in data.data_points}
    assert found["a"].count == 4
    assert found["a"].sum == pytest.approx(3.65)
    assert (list(found["a"].explicit_bounds), list(found["a"].bucket_counts)) == ([0.1, 1.0], [2, 1, 1])
    assert (found["b"].count, list(found["b"].bucket_counts)) == (0, [0, 0, 0])


def test_metrics_are_sent_periodically_and_at_the_end() -> None:
    exporter = Kept()
    export = MetricExport(exporter, RESOURCE, period_s=0.01)
    assert exporter.arrived.wait(10)
    export.stop()
    assert exporter.closed
    patient = Kept()
    MetricExport(patient, RESOURCE, period_s=3600).stop()
    assert len(patient.sent) == 1


def test_a_failed_export_does_not_end_the_exports(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Kept(broken=True)
    export = MetricExport(exporter, RESOURCE, period_s=0.01)
    assert exporter.arrived.wait(10)
    export.stop()
    assert caplog.messages == ["failed to export metrics; retrying in the next period"]
