"""`lab load`: many concurrent calls through the real services, with every audio frame numbered and counted."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.mark_report import Direction
from lab.metric_recorder import MetricRecorder, targets_of
from lab.redis_server import NoRedisError
from lab.stack import Ports, Stack, StackError, running, show_ready
from lab.traffic import await_talking, collect, cpu_s, directions, hang_up, place_calls
from lab.wire import Json, WireError, call_json

SERVICES: Final = ("call-control", "media-gateway", "agent-relay", "redis")
EDGE_S: Final = 0.5
"""Frames sent within this time before the hang-up may still be in transit and are not counted."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    calls: int
    answered: int
    seconds: float
    uplink: Direction
    downlink: Direction
    cpu_ms_per_call: dict[str, float]
    """CPU time in ms per second and call, by process."""
    load_average: float

    @property
    def passed(self) -> bool:
        return self.answered == self.calls and self.uplink.clean and self.downlink.clean

    def as_json(self) -> Json:
        return {
            "calls": self.calls,
            "answered": self.answered,
            "seconds": round(self.seconds, 1),
            "uplink": self.uplink.as_row(),
            "downlink": self.downlink.as_row(),
            "cpu_ms_per_s_per_call": {name: round(value, 2) for name, value in self.cpu_ms_per_call.items()},
            "load_average_1min": self.load_average,
            "cores": os.cpu_count(),
        }


def load(
    calls: int, seconds: float, folder: Path, *, json_path: Path | None = None, metrics_path: Path | None = None
) -> int:
    """Run a load test. Return exit code 0 if all calls were answered and no frame was lost, repeated, reordered or
    received by another call. `metrics_path`: file for the metrics of the services during the test.
    """
    capacity = str(max(50, calls))
    extra = {"agent-relay": {"RELAY_CAPACITY": capacity}, "media-gateway": {"GATEWAY_CAPACITY": capacity}}
    print(f"Starting the stack for {calls} calls of {seconds:.0f} s:", end="", flush=True)

    def make() -> Stack:
        return Stack(Ports.free(), folder, extra, progress=show_ready)

    try:
        with running(make(), make) as stack, contextlib.ExitStack() as recording:
            print(f"\nPlacing {calls} calls, then measuring for {seconds:.0f} s …", flush=True)
            recorder = MetricRecorder()
            if metrics_path:
                recording.callback(recorder.write, metrics_path)
                recording.enter_context(recorder.watching(lambda: targets_of(stack)))
            report = measure(stack, calls, seconds)
    except (StackError, NoRedisError, WireError) as error:
        print(f"\nThe load test could not run: {error}", file=sys.stderr)
        return 1
    print(table(report))
    if json_path:
        json_path.write_text(json.dumps(report.as_json(), indent=1) + "\n")
    if not report.passed:
        print(f"Calls were not answered, or frames were lost, repeated or reordered. Logs: {folder}", file=sys.stderr)
        return 1
    return 0


def measure(stack: Stack, calls: int, seconds: float) -> LoadReport:
    """Place the calls, measure for `seconds`, hang up and count. Raises `StackError`, `WireError`."""
    call_json("PUT", f"{stack.url('voice-live')}/lab/agent", {"mode": "marks"})
    placed = place_calls(stack, range(1, calls + 1))
    answered = await_talking(stack, placed)
    began, cpu_before = time.monotonic(), cpu_s(stack)
    time.sleep(seconds)
    ended, cpu_after = time.monotonic(), cpu_s(stack)
    load_average = os.getloadavg()[0]
    hang_up(stack, placed)
    uplink, downlink = directions(collect(stack, placed), (began, ended - EDGE_S))
    span = ended - began
    cpu = {name: (cpu_after[name] - cpu_before[name]) * 1000 / span / calls for name in cpu_before}
    return LoadReport(calls, answered, span, uplink, downlink, cpu, load_average)


def table(report: LoadReport) -> str:
    names = ("frames", "lost", "twice", "order", "foreign", "p50 ms", "p95 ms", "p99 ms", "max ms")
    columns = "".join(f"{name:>9}" for name in names)
    summary = (
        f"\n{report.answered} of {report.calls} calls answered, measured for {report.seconds:.0f} s on"
        f" {os.cpu_count()} cores, load average {report.load_average:.1f} (simulators included)\n"
    )
    lines = [summary, f"{'':>10}{columns}"]
    for name, direction in (("uplink", report.uplink), ("downlink", report.downlink)):
        row = direction.as_row()
        lines.append(f"{name:>10}" + "".join(f"{value:>9}" for value in row.values()))
    ours = {name: report.cpu_ms_per_call[name] for name in SERVICES if name in report.cpu_ms_per_call}
    lines.append("\nCPU, ms per second and call: " + ", ".join(f"{name} {ms:.1f}" for name, ms in ours.items()))
    lines.append(
        f"total {sum(ours.values()):.1f} (simulators, not included: "
        f"{sum(ms for name, ms in report.cpu_ms_per_call.items() if name not in ours):.1f})"
    )
    return "\n".join(lines)
