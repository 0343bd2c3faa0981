"""Test double for receivers of telemetry: an OTLP collector (HTTP, protobuf) and Azure Monitor's ingestion, on one
port.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    began_ms: float
    ended_ms: float
    attributes: dict[str, Any]
    moments: list[str]
    failure: str


@dataclass(frozen=True, slots=True)
class ReceivedLog:
    service: str
    logger: str
    severity: str
    message: str
    attributes: dict[str, Any]


@dataclass(slots=True)
class SpanReceiver:
    url: str = ""
    spans: list[ReceivedSpan] = field(default_factory=list)
    logs: list[ReceivedLog] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    """Metrics of all requests, as in the protocol."""
    envelopes: list[dict[str, Any]] = field(default_factory=list)
    """Envelopes received from Azure Monitor's exporter."""
    paths: list[str] = field(default_factory=list)

    def of_call(self, call_id: str) -> list[ReceivedSpan]:
        return [span for span in self.spans if span.attributes.get("call_id") == call_id]


@contextmanager
def receiving_spans() -> Iterator[SpanReceiver]:
    receiver = SpanReceiver()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.paths.append(self.path)
            if self.path == "/v1/traces":
                receiver.spans += _spans(ExportTraceServiceRequest.FromString(body))
                self._answer(ExportTraceServiceResponse().SerializeToString(), "application/x-protobuf")
            elif self.path == "/v1/logs":
                receiver.logs += _logs(ExportLogsServiceRequest.FromString(body))
                self._answer(ExportLogsServiceResponse().SerializeToString(), "application/x-protobuf")
            elif self.path == "/v1/metrics":
                receiver.metrics += _metrics(ExportMetricsServiceRequest.FromString(body))
                self._answer(ExportMetricsServiceResponse().SerializeToString(), "application/x-protobuf")
            else:
                received = json.loads(body)
                receiver.envelopes += received
                accepted = {"itemsReceived": len(received), "itemsAccepted": len(received), "errors": []}
                self._answer(json.dumps(accepted).encode(), "application/json")

        def _answer(self, body: bytes, content_type: str) -> None:
            self.send_response(200)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def _spans(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    for resource_spans in request.resource_spans:
        service = str(_values(resource_spans.resource.attributes)["service.name"])
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield ReceivedSpan(
                    service=service,
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    began_ms=span.start_time_unix_nano / 1e6,
                    ended_ms=span.end_time_unix_nano / 1e6,
                    attributes=_values(span.attributes),
                    moments=[event.name for event in span.events],
                    failure=span.status.message,
                )


def _logs(request: ExportLogsServiceRequest) -> Iterator[ReceivedLog]:
    for resource_logs in request.resource_logs:
        service = str(_values(resource_logs.resource.attributes)["service.name"])
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                yield ReceivedLog(
                    service=service,
                    logger=scope_logs.scope.name,
                    severity=record.severity_text,
                    message=record.body.string_value,
                    attributes=_values(record.attributes),
                )


def _metrics(request: ExportMetricsServiceRequest) -> Iterator[Metric]:
    for resource_metrics in request.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            yield from scope_metrics.metrics


def _values(pairs: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for pair in pairs:
        assert isinstance(pair, KeyValue)
        kind = pair.value.WhichOneof("value")
        values[pair.key] = getattr(pair.value, kind) if kind else None
    return values
