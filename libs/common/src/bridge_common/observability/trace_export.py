"""Exports spans through the OpenTelemetry SDK: OTLP over HTTP, Azure Monitor, or both.

Loaded only when traces are enabled. The SDK's batch processors send spans in threads of their own and drop those that
cannot be sent.
"""

from __future__ import annotations

import os
import threading
from typing import Final, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bridge_common.observability.tracing import Begun, Span

_KINDS: Final = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT, "consumer": SpanKind.CONSUMER}
_NO_PARENT: Final = trace.set_span_in_context(trace.INVALID_SPAN)
_DISABLED: Final = (
    "azure_sdk",
    "django",
    "fastapi",
    "flask",
    "httpx",
    "httpx2",
    "psycopg2",
    "requests",
    "urllib",
    "urllib3",
)
"""Instrumentations of Azure Monitor that would trace the exporter and patch libraries of the services."""


class OpenTelemetry:
    """Exporter of spans (`tracing.Tracing`) that uses a provider of the OpenTelemetry SDK."""

    def __init__(self, provider: TracerProvider, stop_s: float = 3.0) -> None:
        self._provider = provider
        self._stop_s = stop_s
        self._tracer = provider.get_tracer("bridge")
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, span: Span) -> Begun:
        first = self._begun(span, _NO_PARENT)
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, trace.set_span_in_context(first))
        return Begun(carrier.get("traceparent", ""), lambda: _end(first, span))

    def export(self, traceparent: str, span: Span) -> None:
        parent = self._propagator.extract({"traceparent": traceparent}, context=_NO_PARENT)
        _end(self._begun(span, parent), span)

    def stop(self) -> None:
        # A collector that does not answer must not delay the exit: the SDK would try for half a minute.
        stopping = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        stopping.start()
        stopping.join(self._stop_s)

    def _begun(self, span: Span, parent: Context) -> trace.Span:
        begun = self._tracer.start_span(
            span.name,
            context=parent,
            kind=_KINDS[span.kind],
            attributes=dict(span.attributes),
            start_time=_ns(span.began_ms),
        )
        for moment in span.moments:
            begun.add_event(moment.name, dict(moment.attributes), timestamp=_ns(moment.at_ms))
        if span.failure:
            begun.set_status(StatusCode.ERROR, span.failure)
        return begun


def open_tracing(service: str, instance: str, *, otlp: bool, connection_string: str) -> OpenTelemetry:
    """Create the exporter. The SDK's environment variables apply as well: sampler, resource, headers, timeouts."""
    name = os.environ.get("OTEL_SERVICE_NAME") or service
    resource = Resource.create({"service.name": name, "service.instance.id": instance})
    processors: list[SpanProcessor] = [BatchSpanProcessor(OTLPSpanExporter())] if otlp else []
    if connection_string:
        return OpenTelemetry(_azure_monitor(connection_string, resource, processors))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return OpenTelemetry(provider)


def _azure_monitor(connection_string: str, resource: Resource, processors: list[SpanProcessor]) -> TracerProvider:
    """Configure Azure Monitor for traces only."""
    from azure.monitor.opentelemetry import configure_azure_monitor

    # `exports` exports the log; the library would export all attributes of its records.
    os.environ.update({"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"})
    # Its own default limits spans to five per second. This is the SDK's default.
    os.environ.setdefault("OTEL_TRACES_SAMPLER", "parentbased_always_on")
    configure_azure_monitor(
        connection_string=connection_string,
        resource=resource,
        span_processors=processors,
        instrumentation_options={name: {"enabled": False} for name in _DISABLED},
        enable_live_metrics=False,
        enable_performance_counters=False,
        disable_offline_storage=True,
    )
    return cast(TracerProvider, trace.get_tracer_provider())


def _end(begun: trace.Span, span: Span) -> None:
    begun.end(_ns(max(span.ended_ms, span.began_ms)))


def _ns(ms: float) -> int:
    return int(ms * 1_000_000)
