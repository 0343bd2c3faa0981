"""What traces cost: the same calls with traces off and on, by turns, each caller interrupting every two seconds.

That is a turn, with its spans, several times as often as people talk. Spans go over OTLP to a collector in this
process, which counts them; its CPU time is not the services'.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.barge_in import EVERY_S
from bench.bridges import Bridge, Environment, Shape, merged
from bench.call_run import run_calls
from bench.spread import Repeated
from bench.table import Cell, Table
from bench.whole import Options, Outcome, progress

SERVICES: Final = ("call-control", "media-gateway", "agent-relay")
OFF: Final = "off"
ON: Final = "on, OTLP"
_TALK: Final[Environment] = {"voice-live": {"MARKS_INTERRUPT_S": str(EVERY_S)}}


@dataclass(slots=True)
class Collector:
    """Takes OTLP over HTTP and counts."""

    url: str = ""
    spans: int = 0


def measure(options: Options) -> Outcome:
    calls = max(options.calls)
    cpu: dict[str, dict[str, list[float]]] = {mode: {name: [] for name in SERVICES} for mode in (OFF, ON)}
    spans: list[int] = []
    for _ in range(options.runs):
        for mode in (OFF, ON):
            found, counted = _run(mode, calls, options.seconds, options.folder)
            for name in SERVICES:
                cpu[mode][name].append(found[name])
            if mode == ON:
                spans.append(counted)
            progress(f"{mode}: {sum(found[name] for name in SERVICES):.2f} ms/s/call, {counted} spans")
    return Outcome([table(cpu, calls, spans)], {"calls": calls, "cpu_ms": cpu, "spans": spans})


def table(cpu: dict[str, dict[str, list[float]]], calls: int, spans: list[int]) -> Table:
    """`cpu`: of each run, CPU ms per second and call, by mode and service."""
    rows: list[list[Cell]] = []
    together = {mode: [sum(one) for one in zip(*found.values(), strict=True)] for mode, found in cpu.items()}
    for mode, by_service in cpu.items():
        each = [Repeated.of(values).text(2) for values in by_service.values()]
        ratios = [one / off for one, off in zip(together[mode], together[OFF], strict=True) if off]
        rows.append([mode, *each, Repeated.of(together[mode]).text(2), Repeated.of(ratios).text(3) if ratios else ""])
    notes = (
        "CPU ms per second and call: the median of the runs (least–most). Ratio: each run to the one without",
        "traces right before it: what else the machine does strikes the two of a pair more alike than all runs.",
        f"Spans in a run: {Repeated.of(spans).text(0)}; each caller interrupts every {EVERY_S:.0f} s in the mean.",
    )
    return Table(f"Traces, {calls} calls", ["", *SERVICES, "together", "ratio"], rows, notes)


def _run(mode: str, calls: int, seconds: float, folder: Path) -> tuple[dict[str, float], int]:
    with collecting() as collector:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url if mode == ON else ""}
        extra = merged(_TALK, dict.fromkeys(SERVICES, traced))
        run = run_calls(Bridge.OURS, Shape.DELTAS, calls, seconds, folder, extra)
    return dict(run.cpu_ms), collector.spans


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
            scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
            collector.spans += sum(len(scope.spans) for scope in scopes)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
