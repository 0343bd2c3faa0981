"""Calls raised step by step until a delay breaks the limit or a frame is lost: ours and the reference bridge."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Final

from bench.bridges import OUR_PROCESSES, Bridge, Shape
from bench.call_run import Run, run_calls
from bench.calls import one_line
from bench.report import Cell, Options, Outcome, Table, progress
from lab.stack import StackError

LIMIT_MS: Final = 50.0
"""Of each p99, unfiltered: what a machine with reserves stays below even if its host disturbs it."""
STEP: Final = 20


def within_limit(run: Run) -> bool:
    return run.clean and max(run.uplink.p99, run.downlink.p99) <= LIMIT_MS


def measure(options: Options) -> Outcome:
    steps = {bridge: _climb(bridge, options, options.ramp_s / len(Bridge)) for bridge in Bridge}
    notes = [f"Deltas, {options.seconds:.0f} s a step. Limit: each p99 within {LIMIT_MS:.0f} ms, no frame lost."]
    figures: dict[str, object] = {}
    for bridge, runs in steps.items():
        good = [run for run in runs if within_limit(run)]
        figures[bridge] = {"calls": good[-1].calls if good else 0, "steps": [asdict(run) for run in runs]}
        if bridge is Bridge.OURS and good:
            figures["per_core"] = per_core(good[-1])
            notes.append(f"Calls per core, from the CPU of our processes at the last good step: {per_core(good[-1])}.")
    columns = ["", "calls", "cores busy", "ms/s/call", "up p99", "down p99", "within limit"]
    return Outcome([Table("Ramp", columns, [_row(run) for runs in steps.values() for run in runs], notes)], figures)


def per_core(run: Run) -> dict[str, int]:
    return {name: int(1000 / run.cpu_ms[name]) for name in OUR_PROCESSES if run.cpu_ms.get(name)}


def _climb(bridge: Bridge, options: Options, within_s: float) -> list[Run]:
    runs: list[Run] = []
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and (not runs or within_limit(runs[-1])):
        calls = STEP * (len(runs) + 1)
        try:
            runs.append(run_calls(bridge, Shape.DELTAS, calls, options.seconds, options.folder))
        except StackError as error:
            progress(f"{bridge}, {calls} calls: {error}")
            break
        progress(one_line(runs[-1]))
    return runs


def _row(run: Run) -> list[Cell]:
    held = "yes" if within_limit(run) else "no"
    return [str(run.bridge), run.calls, run.busy_cores, run.cpu_together_ms, run.uplink.p99, run.downlink.p99, held]
