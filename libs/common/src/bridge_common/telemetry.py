"""The metrics of a process: prometheus-client objects in one registry, named here so that dashboards find them."""

from __future__ import annotations

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


def counter(name: str, help_text: str, *labels: str) -> Counter:
    return Counter(name, help_text, labels, registry=REGISTRY)


def gauge(name: str, help_text: str, *labels: str) -> Gauge:
    return Gauge(name, help_text, labels, registry=REGISTRY)


def histogram(name: str, help_text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    """`buckets` are upper bounds in the unit that the name ends in."""
    return Histogram(name, help_text, labels, buckets=buckets, registry=REGISTRY)


def render() -> bytes:
    """All metrics in the text format that Prometheus reads."""
    return generate_latest(REGISTRY)
