"""Ramp benchmark: raises the number of calls until a p99 exceeds its limit or a frame is lost, for this bridge and the
reference bridge.
"""

from __future__ import annotations

import time
from typing import Final

from bench.bridges import Bridge, Shape
from bench.calls import CPU, RunCalls, clean, run_calls
from bench.runs import Figures, Options, Outcome, Run, figures_text, progress
from lab.stack import StackError

SHOWN: Final = (CPU, "uplink p99, ms", "downlink p99, ms", "frames at fault", "calls not answered")
LIMIT_MS: Final = 50.0
"""Limit for each p99 of all values. A machine with spare capacity meets it even if its host takes CPU time."""
STEP: Final = 20


def within_limit(figures: Figures) -> bool:
    return clean(figures) and max(figures["uplink p99, ms"], figures["downlink p99, ms"]) <= LIMIT_MS


def measure(options: Options, run_calls: RunCalls = run_calls) -> Outcome:
    runs: list[Run] = []
    failures: list[str] = []
    notes = [f"Deltas, {options.seconds:.0f} s a step. Limit: each p99 within {LIMIT_MS:.0f} ms, no frame lost."]
    for bridge in Bridge:
        calls, deadline = 0, time.monotonic() + options.ramp_s / len(Bridge)
        while time.monotonic() < deadline:
            try:
                figures = run_calls(bridge, Shape.DELTAS, calls + STEP, options.seconds, options.folder)
            except StackError as error:
                failures.append(f"{calls + STEP} calls, {bridge}: {error}")
                break
            shown = {name: figures[name] for name in SHOWN if name in figures}
            runs.append(Run({"calls": calls + STEP}, bridge, shown))
            progress(f"{calls + STEP} calls, {bridge}: {figures_text(figures)}")
            if not within_limit(figures):
                break
            calls += STEP
        notes.append(f"Within the limit, {bridge}: {calls} calls.")
    return Outcome("Ramp", runs, failures, notes, compared=False)
