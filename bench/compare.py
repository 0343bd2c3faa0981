"""`python -m bench compare BEFORE AFTER`: two checkouts measured alternately, as paired ratios with a verdict.

Each checkout runs its own benchmark in its own `.venv`: compiled where `make compiled` has been run (and from source
with `--before-env PYTHONPATH=`). The order alternates from pair to pair, so that a drift of the machine cancels out.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.bridges import Bridge
from bench.figures import paired_ratio, spread
from bench.report import Cell, Options, Table, progress

Figures = dict[str, float]
BESIDE: Final = ", beside the reference bridge"


class CompareError(RuntimeError):
    """A checkout could not be measured; the message has the command and its last output."""


def compare(
    folders: tuple[Path, Path], environments: tuple[Mapping[str, str], Mapping[str, str]], pairs: int, options: Options
) -> list[tuple[Figures, Figures]]:
    """`environments`: variables of each side, e.g. two settings of one checkout. Raises `CompareError`."""
    found: list[tuple[Figures, Figures]] = []
    for number in range(pairs):
        sides: dict[int, Figures] = {}
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            sides[side] = figures(run_checkout(folders[side], environments[side], options))
        found.append((sides[0], sides[1]))
        progress(
            f"pair {number + 1} of {pairs}: " + ", ".join(f"{sides[0][n]:.2f} → {sides[1][n]:.2f}" for n in sides[0])
        )
    return found


def run_checkout(folder: Path, environment: Mapping[str, str], options: Options) -> dict[str, Any]:
    """The JSON of one `bench calls` in this checkout. Raises `CompareError`."""
    folder = folder.resolve()
    shipped = folder / "out" / "as-shipped"
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "bench.json")
        command = [str(folder / ".venv" / "bin" / "python"), "-m", "bench", "calls", "--runs", "1", "--json", str(path)]
        command += ["--seconds", str(options.seconds), "--calls", *map(str, options.calls)]
        own = {**os.environ, "PYTHONPATH": str(shipped) if shipped.exists() else "", **environment}
        try:
            ended = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise CompareError(f"{command[0]} not found: make install") from error
        if ended.returncode != 0 or not path.exists():
            raise CompareError(f"{' '.join(command)} in {folder}: {(ended.stderr or ended.stdout)[-2000:]}")
        results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if failed := results["whole"]["calls"]["failed"]:
        raise CompareError(
            f"runs failed in {folder} ({shipped} may be older than the source: make compiled): {failed[0]}"
        )
    return results


def figures(results: Mapping[str, Any]) -> Figures:
    """CPU and delays of our services, and the same as ratios to the reference bridge of the same run."""
    runs = {(run["calls"], run["shape"], run["bridge"]): _flat(run) for run in results["whole"]["calls"]["runs"]}
    found: Figures = {}
    for (calls, shape, bridge), ours in runs.items():
        reference = runs.get((calls, shape, Bridge.REFERENCE.value))
        if bridge != Bridge.OURS or reference is None:
            continue
        for name, value in ours.items():
            found[f"{calls} calls, {shape}: {name}"] = value
            found[f"{calls} calls, {shape}: {name}{BESIDE}"] = value / reference[name]
    return found


def _flat(run: Mapping[str, Any]) -> Figures:
    # Until 2026-11-30 the unfiltered figures of a run were below `all_time`.
    unfiltered = {**run, **run.get("all_time", {})}
    delays = {
        f"{way} {share}, ms": unfiltered[way][share] for way in ("uplink", "downlink") for share in ("p50", "p99")
    }
    return {"CPU, ms/s/call": unfiltered["cpu_together_ms"], **delays}


def table(pairs: Sequence[tuple[Figures, Figures]], tolerance_pct: float) -> Table:
    rows: list[list[Cell]] = []
    for name in pairs[0][0]:
        if not all(name in side and side[name] > 0 for pair in pairs for side in pair):
            continue
        before, after = ([pair[side][name] for pair in pairs] for side in (0, 1))
        ratio = paired_ratio(after, before)
        slower = ratio.exceeds(1 + tolerance_pct / 100)
        rows.append([name, spread(before), spread(after), ratio.text(), slower])
    note = (
        f"{len(pairs)} pairs, alternating. Mean (lowest–highest); ratio with its 95 % confidence interval, unfiltered."
    )
    columns = ["", "before", "after", "after / before", f"slower by more than {tolerance_pct:g} %"]
    return Table("Before and after", columns, rows, (note,))
