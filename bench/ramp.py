"""How many calls this machine carries, simulators included: more and more until a p99 leaves 20 ms or a frame is lost.

Each step is a run of its own in the deltas shape. The steps end at the first that fails, or when the time is up. What a
service carries by itself is calculated from its CPU at the last good step: a core has 1,000 ms a second.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Final

from bench.bridges import Bridge, Shape
from bench.call_run import Run
from bench.calls import OURS, quiet_run, told
from bench.core_speed import LEFT_OUT
from bench.table import Cell, Table
from bench.whole import Options, Outcome, progress
from lab.stack import StackError

LIMIT_MS: Final = 20.0
FIRST: Final = 20
STEP: Final = 20
_SECONDS: Final = 6.0
_OF_ALL_TIME: Final = ("up p99, of all time", "down p99, of all time")


def holds(run: Run) -> bool:
    both = (run.uplink, run.downlink)
    return run.clean and all(way.count and way.p99 <= LIMIT_MS for way in both)


def measure(options: Options) -> Outcome:
    table: list[list[Cell]] = []
    figures: dict[str, object] = {}
    for bridge in Bridge:
        runs = _climb(bridge, options, options.ramp_s / len(Bridge))
        good = [run for run in runs if holds(run)]
        best = good[-1] if good else None
        figures[bridge] = {"calls": best.calls if best else 0, "steps": [asdict(run) for run in runs]}
        table += [_row(run) for run in runs]
        if best is not None and bridge is Bridge.OURS:
            figures["per_core"] = per_core(best)
    notes = [
        f"Deltas shape, {_SECONDS:.0f} s a step; holds: every p99 within {LIMIT_MS:.0f} ms and no frame lost.",
        LEFT_OUT,
    ]
    shares = figures.get("per_core")
    if isinstance(shares, dict):
        notes.append(
            "Calls per core of each by itself, calculated from its CPU at the last step that held: "
            + ", ".join(f"{name} {calls}" for name, calls in shares.items())
        )
    columns = [
        "",
        "calls",
        "cores busy",
        "ms/s/call",
        "up p99",
        "down p99",
        "slowed, %",
        *_OF_ALL_TIME,
        "lost",
        "holds",
    ]
    return Outcome([Table("Ramp", columns, table, notes)], figures)


def per_core(run: Run) -> dict[str, int]:
    """How many calls would fill a core of each process."""
    return {name: int(1000 / run.cpu_ms[name]) for name in OURS if run.cpu_ms.get(name)}


def _climb(bridge: Bridge, options: Options, within_s: float) -> list[Run]:
    runs: list[Run] = []
    deadline, calls = time.monotonic() + within_s, FIRST
    while time.monotonic() < deadline:
        try:
            run = quiet_run(bridge, Shape.DELTAS, calls, _SECONDS, options.folder)
        except StackError as error:
            progress(f"{bridge}, {calls} calls: {error}")
            break
        progress(told(run))
        runs.append(run)
        if not holds(run):
            break
        calls += STEP
    return runs


def _row(run: Run) -> list[Cell]:
    lost = run.uplink_counts.lost + run.downlink_counts.lost
    held = "yes" if holds(run) else "no"
    p99s = [run.uplink.p99, run.downlink.p99, run.slowed_pct, run.all_time.uplink.p99, run.all_time.downlink.p99]
    return [str(run.bridge), run.calls, run.busy_cores, run.cpu_together_ms, *p99s, lost, held]
