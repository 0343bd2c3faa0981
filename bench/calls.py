"""Calls at once through our services and through the reference bridge, in the same run: CPU, delay, memory, loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path

from bench.bridges import REFERENCE, Bridge, Shape
from bench.call_run import Run, run_calls
from bench.core_speed import LEFT_OUT
from bench.interference import AGAIN, least_disturbed
from bench.spread import Repeated
from bench.table import Cell, Table
from bench.whole import Options, Outcome, progress
from lab.stack import StackError
from lab.wire import WireError

OURS = ("call-control", "media-gateway", "agent-relay", "redis")


def measure(options: Options) -> Outcome:
    """Repeats are interleaved: what else the machine does meanwhile strikes all of them alike."""
    runs: list[Run] = []
    failures: list[str] = []
    for _, calls, shape, bridge in product(range(options.runs), options.calls, Shape, Bridge):
        try:
            run = quiet_run(bridge, shape, calls, options.seconds, options.folder)
        except (StackError, WireError) as error:
            failures.append(f"{bridge}, {shape}, {calls} calls: {error}")
            progress(f"FAILED: {failures[-1]}")
            continue
        progress(told(run))
        runs.append(run)
    return Outcome(tables(runs, failures), {"runs": [asdict(run) for run in runs], "failed": failures})


def quiet_run(bridge: Bridge, shape: Shape, calls: int, seconds: float, folder: Path) -> Run:
    """Raises what `run_calls` raises."""

    def attempt() -> tuple[Run, float]:
        run = run_calls(bridge, shape, calls, seconds, folder)
        return run, run.stolen_pct

    return least_disturbed(attempt)


def told(run: Run) -> str:
    """One run in one line."""
    state = "clean" if run.clean else "NOT CLEAN"
    return (
        f"{run.bridge:>9}, {run.shape:<6}, {run.calls} calls: {run.cpu_together_ms:.1f} ms/s/call, "
        f"p99 up {run.uplink.p99:.1f} ms, down {run.downlink.p99:.1f} ms, {state}, {run.busy_cores:.1f} cores busy, "
        f"{run.stolen_pct:.0f} % stolen, {run.slowed_pct:.0f} % slowed"
    )


def tables(runs: Sequence[Run], failures: Sequence[str] = ()) -> list[Table]:
    """`failures`: runs that came to no figures; they are told, not left out."""
    groups = _groups(runs)
    return [_cpu_table(groups), _delay_table(groups), _memory_table(groups), _frames_table(groups, failures)]


Groups = dict[tuple[int, Shape, Bridge], list[Run]]


def _groups(runs: Sequence[Run]) -> Groups:
    groups: Groups = {}
    for run in runs:
        groups.setdefault((run.calls, run.shape, run.bridge), []).append(run)
    return groups


def _cell(values: Iterable[float], digits: int = 1) -> Cell:
    return Repeated.of(values).text(digits)


def _cpu_table(groups: Groups) -> Table:
    rows: list[list[Cell]] = []
    for (calls, shape, bridge), runs in groups.items():
        ours = bridge is Bridge.OURS
        each = [_cell(run.cpu_ms.get(name, 0.0) for run in runs) if ours else "" for name in OURS]
        together = _cell(run.cpu_together_ms for run in runs)
        ratio = _ratio(runs, groups.get((calls, shape, Bridge.REFERENCE)))
        simulators = _cell(run.cpu_simulators_ms for run in runs)
        others = [_cell(run.stolen_pct for run in runs), _cell(run.slowed_pct for run in runs)]
        all_time = _cell(run.all_time.cpu_together_ms for run in runs)
        rows.append([f"{calls} calls, {shape}, {bridge}", *each, together, ratio, simulators, *others, all_time])
    notes = (
        "CPU ms per second and call: the median of the runs (least–most). Ratio: medians, to the reference bridge.",
        "The simulators share the cores with what is measured; their own CPU does not count.",
        f"Stolen: of the time in which the machine had something to do, what its host gave to others. {AGAIN}",
        f"{LEFT_OUT} In the last column it is not.",
    )
    columns = ["", *OURS, "together", "ratio", "simulators", "stolen, %", "slowed, %", "together, of all time"]
    return Table("CPU", columns, rows, notes)


def _ratio(runs: Sequence[Run], beside: Sequence[Run] | None) -> Cell:
    if not beside:
        return ""
    one, other = (Repeated.of(run.cpu_together_ms for run in some).middle for some in (runs, beside))
    return f"{one / other:.2f}" if other else ""


_SHARES = ("p50", "p95", "p99")


def _delay_table(groups: Groups) -> Table:
    rows: list[list[Cell]] = []
    for (calls, shape, bridge), runs in groups.items():
        up = [_cell(float(getattr(run.uplink, share)) for run in runs) for share in _SHARES]
        down = [_cell(float(getattr(run.downlink, share)) for run in runs) for share in _SHARES]
        all_time = [_cell(run.all_time.uplink.p99 for run in runs), _cell(run.all_time.downlink.p99 for run in runs)]
        lead = [_cell((run.lead.p50 for run in runs), 0), _cell((run.gaps for run in runs), 0)]
        rows.append([f"{calls} calls, {shape}, {bridge}", *up, *down, *all_time, *lead])
    shifts = next((runs[0].resampler_ms for key, runs in groups.items() if key[2] is Bridge.OURS), (0.0, 0.0))
    ways = [f"{way} {share}" for way in ("up", "down") for share in _SHARES]
    columns = ["", *ways, "up p99, of all time", "down p99, of all time", "lead p50", "gaps"]
    sockets = (
        "Milliseconds from the write on one socket to the arrival on the other, by numbered marks in the audio; ours "
        f"includes the resamplers' delay (measured on the marks: up {shifts[0]}, down {shifts[1]})."
    )
    playout = (
        "Down: the first frame of each delta that the playout lets leave at once. Lead: how long before it sounds a "
        "frame is at the caller's end; gaps: how often that ran dry (bench/playout_plan.py says how both are meant)."
    )
    slowed = f"{LEFT_OUT} Of all time: not left out. Lead and gaps are of all time."
    return Table("One-way delay", columns, rows, (sockets, playout, slowed))


def _memory_table(groups: Groups) -> Table:
    rows: list[list[Cell]] = []
    for (calls, shape, bridge), runs in groups.items():
        for name in OURS if bridge is Bridge.OURS else (REFERENCE,):
            held = [run.memory[name] for run in runs if name in run.memory]
            if held:
                figures: list[list[float]] = [[m.mb_without_calls, m.mb, m.mb_per_call] for m in held]
                cells = [
                    _cell(column, digits) for column, digits in zip(zip(*figures, strict=True), (1, 1, 3), strict=True)
                ]
                rows.append([f"{calls} calls, {shape}, {name}", *cells])
    notes = ("Resident MB of each process, before the calls (after two that are over) and with them.",)
    return Table("Memory", ["", "without calls", "with calls", "growth per call"], rows, notes)


def _frames_table(groups: Groups, failures: Sequence[str]) -> Table:
    rows: list[list[Cell]] = []
    for (calls, shape, bridge), runs in groups.items():
        for way in ("uplink", "downlink"):
            counts = [run.uplink_counts if way == "uplink" else run.downlink_counts for run in runs]
            sums = [sum(getattr(one, name) for one in counts) for name in _COUNTS]
            rows.append([f"{calls} calls, {shape}, {bridge}, {way}", *sums])
    notes = ["Foreign: a frame of one call heard in another."]
    notes += [f"A run FAILED and has no figures: {failure}" for failure in failures]
    return Table("Frames, of all runs", ["", *_COUNTS], rows, notes)


_COUNTS = ("sent", "lost", "repeated", "disordered", "foreign")
