"""Many concurrent calls with marks as audio: places them, hangs up, and collects the marks of both ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import psutil

from lab.mark_report import Direction
from lab.observed_call import FINISHED
from lab.stack import Stack, StackError
from lab.wire import Json, call_json, rows

CONNECT_TIMEOUT_S: Final = 30.0
END_TIMEOUT_S: Final = 15.0
_POLL_S: Final = 0.2

Sent = list[tuple[int, float]]
"""Sent marks: (seq, time of the write to the socket)."""
Heard = list[tuple[int, int, float]]
"""Heard marks: (call, seq, time of arrival), in order of arrival."""


@dataclass(frozen=True, slots=True)
class CallMarks:
    """The marks of one call. Times are in monotonic seconds; shifts as in `MarkStream.shift_ms`."""

    number: int
    uplink_sent: Sent
    uplink_heard: Heard
    uplink_shift_ms: float
    downlink_sent: Sent
    downlink_heard: Heard
    downlink_shift_ms: float
    interrupted_at: list[float]
    """Times at which the simulated Voice Live wrote `speech_started`."""
    lab_id: str = ""


def place_calls(stack: Stack, numbers: Iterable[int], *, record: bool = False) -> dict[int, str]:
    """Place a call for each number and return their ids in the simulated ACS. Raises `WireError`. `record`: record the
    audio that the callers hear.
    """
    acs = stack.url("acs")
    with ThreadPoolExecutor(8) as pool:
        chosen = list(numbers)
        ids = pool.map(lambda number: place_call(acs, number, record=record), chosen)
        return dict(zip(chosen, ids, strict=True))


def place_call(acs: str, number: int, audio: str = "marks", *, record: bool = False) -> str:
    caller = f"+1425555{number:05d}"
    body = {"from": caller, "to": "+18005551212", "audio": audio, "mark": number, "record": record}
    return str(call_json("POST", f"{acs}/lab/calls", body)["id"])


def await_talking(stack: Stack, placed: dict[int, str]) -> int:
    """Wait until every call is connected and hears marks of the agent. Return their number. Raises `StackError`."""

    def talks(row: Json) -> bool:
        return bool(row["state"] == "connected" and row["counters"].get("frames_heard", 0) > 0)

    return _await_all(stack, placed, talks, CONNECT_TIMEOUT_S)


def hang_up(stack: Stack, placed: dict[int, str]) -> None:
    for lab_id in placed.values():
        call_json("POST", f"{stack.url('acs')}/lab/calls/{lab_id}/hangup", {})
    _await_all(stack, placed, lambda row: row["state"] in FINISHED, END_TIMEOUT_S)


def collect(stack: Stack, placed: dict[int, str]) -> list[CallMarks]:
    """Collect the marks of each call from both simulators.

    A voice session belongs to the call of its first mark. A call that had a second session has the marks of both.
    """
    acs, voice = stack.url("acs"), stack.url("voice-live")
    sessions = [
        call_json("GET", f"{voice}/lab/sessions/{row['id']}/marks")
        for row in rows(call_json("GET", f"{voice}/lab/sessions"))
    ]
    return [
        _marks_of(number, lab_id, call_json("GET", f"{acs}/lab/calls/{lab_id}/marks"), sessions)
        for number, lab_id in placed.items()
    ]


def _marks_of(number: int, lab_id: str, phone: Json, sessions: list[Json]) -> CallMarks:
    mine = [marks for marks in sessions if marks["heard"] and marks["heard"][0][0] == number]
    return CallMarks(
        number=number,
        uplink_sent=[(seq, t) for seq, t in phone["sent"]],
        uplink_heard=[(call, seq, t) for marks in mine for call, seq, t in marks["heard"]],
        uplink_shift_ms=max((marks["shift_ms"] or 0.0 for marks in mine), default=0.0),
        downlink_sent=[(seq, t) for marks in mine for _, seq, t in marks["sent"]],
        downlink_heard=[(call, seq, t) for call, seq, t in phone["heard"]],
        downlink_shift_ms=phone["shift_ms"] or 0.0,
        interrupted_at=[t for marks in mine for t in marks["interrupted_at"]],
        lab_id=lab_id,
    )


def directions(calls: Iterable[CallMarks], window: tuple[float, float]) -> tuple[Direction, Direction]:
    """Return the uplink and the downlink of all calls. Only marks sent within `window` (monotonic seconds) count."""
    uplink, downlink = Direction(), Direction()
    for call in calls:
        uplink.add(call.number, call.uplink_sent, call.uplink_heard, window)
        downlink.add(call.number, call.downlink_sent, call.downlink_heard, window)
    return uplink, downlink


def cpu_s(stack: Stack) -> dict[str, float]:
    times = {process.name: psutil.Process(process.pid).cpu_times() for process in stack.processes if process.pid}
    return {name: spent.user + spent.system for name, spent in times.items()}


def rss_bytes(stack: Stack) -> dict[str, int]:
    return {p.name: int(psutil.Process(p.pid).memory_info().rss) for p in stack.processes if p.pid}


def _await_all(stack: Stack, placed: dict[int, str], fact: Callable[[Json], bool], within_s: float) -> int:
    deadline = time.monotonic() + within_s
    while True:
        seen = {row["id"]: row for row in rows(call_json("GET", f"{stack.url('acs')}/lab/calls"))}
        count = sum(1 for lab_id in placed.values() if lab_id in seen and fact(seen[lab_id]))
        if count == len(placed) or time.monotonic() > deadline:
            return count
        if stack.dead():
            raise StackError(f"{stack.dead()[0].name} exited under load; log: {stack.dead()[0].log_path}")
        time.sleep(_POLL_S)
