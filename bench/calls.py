"""Concurrent calls through our services and through the reference bridge, alternating in one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product
from operator import attrgetter
from typing import Final

from bench.bridges import OUR_PROCESSES, Bridge, Shape
from bench.call_run import Run, run_calls
from bench.figures import paired_difference, paired_ratio, spread
from bench.report import Cell, Options, Outcome, Table, grouped, progress
from lab.stack import StackError
from lab.wire import WireError

CPU_LIMIT: Final = 1.0
"""CPU per call, as a ratio to the reference bridge."""
DELAY_LIMITS_MS: Final = {"p50": 3.0, "p99": 6.0}
"""Delay beyond that of the reference bridge: Redis, the resampler and the playout's clock."""
_DELAYS: Final = tuple(f"{way}.{share}" for way in ("uplink", "downlink") for share in ("p50", "p95", "p99"))


def measure(options: Options) -> Outcome:
    pairs: list[tuple[Run, Run]] = []
    failures: list[str] = []
    for repetition, calls, shape in product(range(options.runs), options.calls, Shape):
        order = (Bridge.OURS, Bridge.REFERENCE) if repetition % 2 == 0 else (Bridge.REFERENCE, Bridge.OURS)
        found: dict[Bridge, Run] = {}
        for bridge in order:
            try:
                found[bridge] = run_calls(bridge, shape, calls, options.seconds, options.folder)
                progress(one_line(found[bridge]))
            except (StackError, WireError) as error:
                failures.append(f"{bridge}, {shape}, {calls} calls: {error}")
                progress(f"FAILED: {failures[-1]}")
        if len(found) == len(order):
            pairs.append((found[Bridge.OURS], found[Bridge.REFERENCE]))
    runs = [asdict(run) | {"clean": run.clean} for pair in pairs for run in pair]
    return Outcome(tables(pairs, failures), {"runs": runs, "failed": failures})


def one_line(run: Run) -> str:
    return (
        f"{run.bridge:>9}, {run.shape:<6}, {run.calls} calls: {run.cpu_together_ms:.1f} ms/s/call, "
        f"p99 up {run.uplink.p99:.1f} ms, down {run.downlink.p99:.1f} ms, {'clean' if run.clean else 'NOT CLEAN'}, "
        f"{run.busy_cores:.1f} cores busy, {run.steal_pct:.0f} % steal"
    )


def tables(pairs: Sequence[tuple[Run, Run]], failures: Sequence[str] = ()) -> list[Table]:
    """`failures`: runs without figures, listed with the comparison."""
    runs = sorted((run for pair in pairs for run in pair), key=lambda run: (run.calls, run.shape, run.bridge))
    cpu: dict[str, Callable[[Run], float | None]] = {name: partial(_cpu_ms, name) for name in OUR_PROCESSES}
    cpu |= {"together": attrgetter("cpu_together_ms"), "simulators": attrgetter("cpu_simulators_ms")}
    cpu |= {"CPU steal, %": attrgetter("steal_pct")}
    delay: dict[str, Callable[[Run], float | None]] = {name.replace(".", " "): attrgetter(name) for name in _DELAYS}
    delay |= {"underruns": attrgetter("underruns"), "frames": attrgetter("frames")}
    delay |= {
        "frames at fault": lambda run: sum(run.faults.values()),
        "not answered": lambda run: run.calls - run.answered,
    }
    of_processes = [(run, process) for run in runs for process in run.mb]
    memory: dict[str, Callable[[tuple[Run, str]], float | None]] = {
        "before the calls": lambda one: one[0].mb_before[one[1]],
        "with calls": lambda one: one[0].mb[one[1]],
        "growth per call": lambda one: (one[0].mb[one[1]] - one[0].mb_before[one[1]]) / one[0].calls,
    }
    up, down = next(((f"{ms:.2f}" for ms in run.resampler_ms) for run in runs if run.bridge is Bridge.OURS), ("0", "0"))
    delay_note = (
        "ms from the write on one socket to the arrival on the other; ours includes the resamplers (uplink "
        f"{up}, downlink {down}). Downlink: frames that need not wait in the playout. Underruns: the audio ran dry."
    )
    return [
        comparison(pairs, failures),
        grouped("CPU, ms per second and call", runs, _label, cpu, ["The simulators are not part of `together`."]),
        grouped("One-way delay", runs, _label, delay, [delay_note]),
        grouped("Resident memory, MB", of_processes, lambda one: f"{_label(one[0])}, {one[1]}", memory),
    ]


def comparison(pairs: Sequence[tuple[Run, Run]], failures: Sequence[str]) -> Table:
    groups: dict[str, list[tuple[Run, Run]]] = {}
    for pair in pairs:
        groups.setdefault(f"{pair[0].calls} calls, {pair[0].shape}", []).append(pair)
    rows = [[f"{name}: {row[0]}", *row[1:]] for name, some in groups.items() for row in _compared(some)]
    notes = [
        "Mean of the runs (lowest–highest); ratio or difference: mean of the pairs (95 % confidence interval).",
        *(f"FAILED, without figures: {failure}" for failure in failures),
    ]
    columns = ["", "ours", "reference", "ratio or difference", "limit", "exceeded"]
    return Table("Our services beside the reference bridge", columns, rows, notes)


def _compared(pairs: Sequence[tuple[Run, Run]]) -> Iterable[list[Cell]]:
    limits = [("cpu_together_ms", "CPU, ms/s/call", CPU_LIMIT)]
    limits += [
        (f"{way}.{p}", f"{way} delay {p}, ms", ms)
        for way in ("uplink", "downlink")
        for p, ms in DELAY_LIMITS_MS.items()
    ]
    for path, name, limit in limits:
        ours, reference = ([attrgetter(path)(pair[side]) for pair in pairs] for side in (0, 1))
        is_cpu = path == "cpu_together_ms"
        interval = (paired_ratio if is_cpu else paired_difference)(ours, reference)
        limit_text = f"× {limit:g}" if is_cpu else f"+ {limit:g}"
        yield [name, spread(ours), spread(reference), interval.text(), limit_text, interval.exceeds(limit)]


def _label(run: Run) -> str:
    return f"{run.calls} calls, {run.shape}, {run.bridge}"


def _cpu_ms(process: str, run: Run) -> float | None:
    return run.cpu_ms.get(process)
