"""Barge-in: from `speech_started` on the voice socket to StopAudio on the media socket, while all calls talk.

In every session the simulated caller interrupts at random times, every two seconds in the mean; the agent talks in
250 ms deltas before and after. Both times are taken at the simulators' sockets. The bridges take turns, so that what
else the machine does strikes both.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, field
from functools import partial
from itertools import product

from bench.bridges import Bridge, Shape, stack_of
from bench.call_run import UNDER_WAY_S, warm_up
from bench.core_speed import Slowed, SpeedWatch, Window
from bench.interference import AGAIN, Moment, least_disturbed
from bench.spread import Delays
from bench.table import Cell, Table
from bench.whole import Options, Outcome, progress
from lab.stack import Stack, running
from lab.traffic import await_talking, collect, hang_up, place_calls
from lab.wire import call_json

EVERY_S = 2.0
_EDGE_S = 0.5
_LONGEST_S = 0.4
"""What comes later belongs to nothing: the agent has begun to talk again."""


@dataclass(slots=True)
class BargeIns:
    delays_ms: list[float] = field(default_factory=list)
    """While the cores ran at their speed, see `core_speed`."""
    of_all_time_ms: list[float] = field(default_factory=list)
    missed: int = 0
    """No StopAudio followed."""

    def add(
        self, interrupted_at: Sequence[float], stopped_at: Sequence[float], window: Window, out: Slowed | None = None
    ) -> None:
        """One call's. Monotonic seconds, both in order."""
        out = out or Slowed()
        for t in interrupted_at:
            if not window[0] <= t <= window[1]:
                continue
            stop = next((at for at in stopped_at if at >= t), None)
            if stop is None or stop - t > _LONGEST_S:
                self.missed += 1
                continue
            self.of_all_time_ms.append((stop - t) * 1000)
            if not out.within(t, UNDER_WAY_S):
                self.delays_ms.append((stop - t) * 1000)

    def add_all(self, others: BargeIns) -> None:
        self.delays_ms += others.delays_ms
        self.of_all_time_ms += others.of_all_time_ms
        self.missed += others.missed


def measure(options: Options) -> Outcome:
    calls = max(options.calls)
    seconds = options.seconds * options.runs
    rows: list[list[Cell]] = []
    figures: dict[str, object] = {"calls": calls, "seconds": seconds}
    all_found = {bridge: BargeIns() for bridge in Bridge}
    for _, bridge in product(range(options.runs), Bridge):
        all_found[bridge].add_all(least_disturbed(partial(_barge_ins, bridge, calls, options)))
    for bridge, found in all_found.items():
        delays, all_time = Delays.of(found.delays_ms), Delays.of(found.of_all_time_ms)
        progress(
            f"{bridge}: {delays.count} barge-ins, p99 {delays.p99:.1f} ms (of all time {all_time.p99:.1f}), "
            f"missed {found.missed}"
        )
        rows.append([str(bridge), *astuple(delays), found.missed])
        rows.append([f"{bridge}, of all time", *astuple(all_time), found.missed])
        figures[str(bridge)] = {**asdict(delays), "missed": found.missed, "all_time": asdict(all_time)}
    columns = ["", "barge-ins", "p50", "p95", "p99", "most", "missed"]
    notes = (
        f"Milliseconds from speech_started on the voice socket to StopAudio on the media socket. {AGAIN}",
        "Not of all time: barge-ins while the cores were slowed from outside are left out (bench/core_speed.py).",
    )
    return Outcome([Table(f"Barge-in, {calls} calls", columns, rows, notes)], figures)


def _barge_ins(bridge: Bridge, calls: int, options: Options) -> tuple[BargeIns, float]:
    """And what was stolen from the machine meanwhile, in %."""
    found = BargeIns()
    extra = {"voice-live": {**Shape.DELTAS.voice_live, "MARKS_INTERRUPT_S": str(EVERY_S)}}
    with running(stack_of(bridge, calls, options.folder, extra)) as stack:
        call_json("PUT", f"{stack.url('voice-live')}/lab/agent", {"mode": "marks"})
        warm_up(stack)
        placed = place_calls(stack, range(1, calls + 1))
        await_talking(stack, placed)
        moment, began = Moment.now(), time.monotonic()
        with SpeedWatch() as watch:
            time.sleep(options.seconds)
        stolen_pct = moment.stolen_pct(Moment.now())
        window = (began, time.monotonic() - _EDGE_S)
        hang_up(stack, placed)
        for call in collect(stack, placed):
            found.add(call.interrupted_at, _stops(stack, call.lab_id), window, watch.slowed)
    return found, stolen_pct


def _stops(stack: Stack, lab_id: str) -> list[float]:
    call = call_json("GET", f"{stack.url('acs')}/lab/calls/{lab_id}")
    return [float(row["t"]) for row in call["timeline"] if row["event"] == "stop_audio"]
