"""`python -m bench compare BEFORE AFTER`: measures two checkouts at the same time, and reports paired ratios with a
verdict.

Each checkout runs its own benchmark in its own `.venv`, compiled where `make compiled` has been run (from source with
`--before-env PYTHONPATH=`). Both sides of a pair run at the same time, so that what disturbs the machine disturbs both.
Choose `--calls` so that the cores can carry twice the calls.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from bench.bridges import Bridge
from bench.calls import CPU
from bench.figures import paired_ratio, spread
from bench.report import Cell, Table
from bench.runs import Options, case_name, figures_text, progress

Compared = dict[str, float]
BESIDE: Final = ", beside the reference bridge"


class CompareError(RuntimeError):
    """The measurement of a checkout failed. The message has the command and its last output."""


@dataclass(frozen=True, slots=True)
class Checkout:
    folder: Path
    environment: Mapping[str, str]
    """Additional environment variables, e.g. to compare two settings."""


def compare(
    before: Checkout, after: Checkout, pairs: int, names: Sequence[str], options: Options
) -> list[tuple[Compared, Compared]]:
    """Measure both checkouts at the same time, `pairs` times. `names`: of measurements. Raises `CompareError`."""
    found: list[tuple[Compared, Compared]] = []
    for number in range(pairs):
        with ThreadPoolExecutor(2) as both:
            sides = list(both.map(lambda checkout: figures(run_checkout(checkout, names, options)), (before, after)))
        found.append((sides[0], sides[1]))
        progress(f"pair {number + 1} of {pairs}: before {figures_text(found[-1][0])}")
        progress(f"pair {number + 1} of {pairs}: after  {figures_text(found[-1][1])}")
    return found


def run_checkout(checkout: Checkout, names: Sequence[str], options: Options) -> dict[str, Any]:
    """Return the JSON of one repetition in this checkout. Raises `CompareError`."""
    folder = checkout.folder.resolve()
    shipped = folder / "out" / "as-shipped"
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "bench.json")
        command = [str(folder / ".venv" / "bin" / "python"), "-m", "bench", *names, "--runs", "1", "--json", str(path)]
        command += ["--seconds", str(options.seconds), "--calls", *map(str, options.calls)]
        own = {**os.environ, "PYTHONPATH": str(shipped) if shipped.exists() else "", **checkout.environment}
        try:
            ended = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise CompareError(f"{command[0]} not found; run make install in {folder}") from error
        if ended.returncode != 0 or not path.exists():
            raise CompareError(f"{' '.join(command)} failed in {folder}: {(ended.stderr or ended.stdout)[-2000:]}")
        results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for outcome in results["whole"].values():
        if failed := outcome.get("failures") or outcome.get("failed"):
            raise CompareError(
                f"runs failed in {folder}: {failed[0]}. If the code is compiled, run make compiled there"
            )
    return results


def figures(results: Mapping[str, Any]) -> Compared:
    """Return the figures of this bridge and, if the reference bridge has the same figure, their ratio to it in the same
    run.
    """
    found: Compared = {}
    for outcome in results["whole"].values():
        runs = {(case_name(run["labels"]), run["bridge"]): run["figures"] for run in map(_current, outcome["runs"])}
        for (case, bridge), ours in runs.items():
            reference = runs.get((case, Bridge.REFERENCE.value), {})
            for name, value in ours.items() if bridge == Bridge.OURS else ():
                full = f"{case}: {name}" if case else name
                found[full] = value
                if has_unit(name) and reference.get(name, 0) > 0:
                    found[full + BESIDE] = value / reference[name]
    return found


def _current(run: Mapping[str, Any]) -> Mapping[str, Any]:
    """Convert a run to the current format. Before 2026-11-30, `bench calls` stored unfiltered figures
    below `all_time`.
    """
    if "figures" in run:
        return run
    unfiltered, ways = run["all_time"], product(("uplink", "downlink"), ("p50", "p95", "p99"))
    delays = {f"{way} {share}, ms": unfiltered[way][share] for way, share in ways}
    labels = {"calls": run["calls"], "shape": run["shape"]}
    return {"labels": labels, "bridge": run["bridge"], "figures": {CPU: unfiltered["cpu_together_ms"], **delays}}


def has_unit(name: str) -> bool:
    """Whether the figure has a unit. Figures without one are counts, which are shown but not compared."""
    return ", " in name.rpartition(": ")[2]


def table(pairs: Sequence[tuple[Compared, Compared]], tolerance_pct: float) -> Table:
    rows: list[list[Cell]] = []
    for name in pairs[0][0]:
        before, after = ([pair[side][name] for pair in pairs if name in pair[side]] for side in (0, 1))
        row: list[Cell] = [name, spread(before), spread(after), "", ""]
        if all(has_unit(name) and side.get(name, 0) > 0 for pair in pairs for side in pair):
            ratio = paired_ratio(after, before)
            row[3:] = [ratio.text(), ratio.exceeds(1 + tolerance_pct / 100)]
        rows.append(row)
    note = (
        f"{len(pairs)} pairs, each measured at the same time. Mean (lowest–highest); ratio with its 95 % confidence "
        "interval, unfiltered."
    )
    columns = ["", "before", "after", "after / before", f"slower by more than {tolerance_pct:g} %"]
    return Table("Before and after", columns, rows, (note,))
