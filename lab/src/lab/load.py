"""`lab load`: many calls at once through the real services, every frame of audio numbered and counted."""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from lab.mark_report import Direction
from lab.observed_call import FINISHED
from lab.redis_server import NoRedisError
from lab.stack import Ports, Stack, StackError, running
from lab.wire import Json, WireError, call_json

SERVICES: Final = ("call-control", "media-gateway", "agent-relay", "redis")
_CONNECT_TIMEOUT_S: Final = 30.0
_END_TIMEOUT_S: Final = 15.0
_EDGE_S: Final = 0.5
"""Frames sent this shortly before the calls are hung up may still be on their way and are not counted."""


@dataclass(frozen=True, slots=True)
class Report:
    calls: int
    answered: int
    seconds: float
    uplink: Direction
    downlink: Direction
    cpu_ms_per_call: dict[str, float]
    """CPU ms per second and call, by process."""
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


def load(calls: int, seconds: float, folder: Path, *, json_path: Path | None = None) -> int:
    """Exit code 0 when every call was answered and no frame was lost, repeated, out of order or of another call."""
    capacity = str(max(50, calls))
    extra = {"agent-relay": {"RELAY_CAPACITY": capacity}, "media-gateway": {"GATEWAY_CAPACITY": capacity}}
    print(f"Starting the stack for {calls} calls of {seconds:.0f} s …", flush=True)
    try:
        with running(Stack(Ports.free(), folder, extra)) as stack:
            report = measure(stack, calls, seconds)
    except (StackError, NoRedisError, WireError) as error:
        print(f"The load could not run: {error}", file=sys.stderr)
        return 1
    print(table(report))
    if json_path:
        json_path.write_text(json.dumps(report.as_json(), indent=1) + "\n")
    if not report.passed:
        print(f"Not clean. Logs: {folder}", file=sys.stderr)
        return 1
    return 0


def measure(stack: Stack, calls: int, seconds: float) -> Report:
    """Place the calls, let them run, hang up, and count. Raises `StackError`, `WireError`."""
    acs, voice = stack.url("acs"), stack.url("voice-live")
    call_json("PUT", f"{voice}/lab/agent", {"mode": "marks"})
    with ThreadPoolExecutor(8) as pool:
        placed = dict(enumerate(pool.map(lambda number: _place(acs, number), range(1, calls + 1)), start=1))
    answered = _await_connected(stack, placed)
    began, cpu_before = time.monotonic(), _cpu_s(stack)
    time.sleep(seconds)
    ended, cpu_after = time.monotonic(), _cpu_s(stack)
    load_average = os.getloadavg()[0]
    for lab_id in placed.values():
        call_json("POST", f"{acs}/lab/calls/{lab_id}/hangup", {})
    _await_all(stack, placed, lambda row: row["state"] in FINISHED, _END_TIMEOUT_S)
    uplink, downlink = _directions(stack, placed, (began, ended - _EDGE_S))
    span = ended - began
    cpu = {name: (cpu_after[name] - cpu_before[name]) * 1000 / span / calls for name in cpu_before}
    return Report(calls, answered, span, uplink, downlink, cpu, load_average)


def table(report: Report) -> str:
    """The report for people."""
    names = ("frames", "lost", "twice", "order", "foreign", "p50 ms", "p95 ms", "p99 ms", "max ms")
    columns = "".join(f"{name:>9}" for name in names)
    summary = (
        f"\n{report.answered} of {report.calls} calls answered, measured for {report.seconds:.0f} s on"
        f" {os.cpu_count()} cores, load average {report.load_average:.1f} (simulators included)\n"
    )
    lines = [
        summary,
        f"{'':>10}{columns}",
    ]
    for name, direction in (("uplink", report.uplink), ("downlink", report.downlink)):
        row = direction.as_row()
        lines.append(f"{name:>10}" + "".join(f"{value:>9}" for value in row.values()))
    ours = {name: report.cpu_ms_per_call[name] for name in SERVICES if name in report.cpu_ms_per_call}
    lines.append("\nCPU, ms per second and call: " + ", ".join(f"{name} {ms:.1f}" for name, ms in ours.items()))
    lines.append(
        f"together {sum(ours.values()):.1f} (simulators beside them: "
        f"{sum(ms for name, ms in report.cpu_ms_per_call.items() if name not in ours):.1f})"
    )
    return "\n".join(lines)


def _place(acs: str, number: int) -> str:
    body = {"from": f"+1425555{number:04d}", "to": "+18005551212", "audio": "marks", "mark": number}
    return str(call_json("POST", f"{acs}/lab/calls", body)["id"])


def _await_connected(stack: Stack, placed: dict[int, str]) -> int:
    """Wait until every call is connected and hears the agent's marks; the number that are."""

    def talks(row: Json) -> bool:
        return bool(row["state"] == "connected" and row["counters"].get("frames_heard", 0) > 0)

    return _await_all(stack, placed, talks, _CONNECT_TIMEOUT_S)


def _await_all(stack: Stack, placed: dict[int, str], fact: Any, within_s: float) -> int:
    deadline = time.monotonic() + within_s
    while True:
        rows = {row["id"]: row for row in _list(call_json("GET", f"{stack.url('acs')}/lab/calls"))}
        count = sum(1 for lab_id in placed.values() if lab_id in rows and fact(rows[lab_id]))
        if count == len(placed) or time.monotonic() > deadline:
            return count
        if stack.dead():
            raise StackError(f"{stack.dead()[0].name} died under load; log: {stack.dead()[0].log_path}")
        time.sleep(0.2)


def _directions(stack: Stack, placed: dict[int, str], window: tuple[float, float]) -> tuple[Direction, Direction]:
    acs, voice = stack.url("acs"), stack.url("voice-live")
    sessions = [
        call_json("GET", f"{voice}/lab/sessions/{row['id']}/marks")
        for row in _list(call_json("GET", f"{voice}/lab/sessions"))
    ]
    uplink, downlink = Direction(), Direction()
    for number, lab_id in placed.items():
        phone = call_json("GET", f"{acs}/lab/calls/{lab_id}/marks")
        # A session belongs to the call that it heard first; a mark of any other call in it is cross-talk.
        mine = [marks for marks in sessions if marks["heard"] and marks["heard"][0][0] == number]
        heard_up = [(call, seq, t) for marks in mine for call, seq, t in marks["heard"]]
        sent_down = [(seq, t) for marks in mine for _, seq, t in marks["sent"]]
        uplink.add(number, [(seq, t) for seq, t in phone["sent"]], heard_up, window)
        downlink.add(number, sent_down, [(call, seq, t) for call, seq, t in phone["heard"]], window)
    return uplink, downlink


def _cpu_s(stack: Stack) -> dict[str, float]:
    times = {process.name: psutil.Process(process.pid).cpu_times() for process in stack.processes if process.pid}
    return {name: spent.user + spent.system for name, spent in times.items()}


def _list(answer: Any) -> list[Json]:
    if isinstance(answer, dict):
        answer = next((value for value in answer.values() if isinstance(value, list)), [])
    return list(answer)
