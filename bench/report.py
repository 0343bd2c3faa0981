"""Formats results as text: tables, the machine, bench/RESULTS.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final, TypeAlias

from bench.bridges import Bridge
from bench.figures import paired_difference, paired_ratio, spread
from bench.runs import Figures, Outcome, Run, case_name, run_name
from media_gateway.core import playout

Cell: TypeAlias = str | float | int
_PACKAGES: Final = ("uvloop", "picows", "uvicorn", "starlette", "redis", "hiredis", "msgspec", "numpy")
_HEAD: Final = """# Benchmark results

Written by `python -m bench --write-results` from the JSON of `make bench`; do not edit. The measurements and their
options: `.venv/bin/python -m bench --help`.

Our services and the reference bridge (`bench/reference_bridge.py`: one process, no Redis, no resampling, no failover)
carry the same calls between the same simulators, alternating in one run. Nothing is filtered, so delays include
disturbances by the host. Judge a figure by the reference bridge of the same run, which has the same disturbances.

Figures are the mean of the runs (lowest–highest). Beside the reference: the mean of the pairs with its 95 % confidence
interval, a difference for milliseconds and a ratio for everything else.
"""


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()

    def render(self) -> str:
        cells = [list(self.columns), *([cell_text(cell) for cell in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in cells]
        rule = "  ".join("-" * width for width in widths)
        return "\n".join([self.title, "", lines[0], rule, *lines[1:], *(f"  {note}" for note in self.notes)])

    def markdown(self) -> str:
        rule = ["---", *("--:" for _ in self.columns[1:])]
        rows = [self.columns, rule, *([cell_text(cell) for cell in row] for row in self.rows)]
        lines = [f"## {self.title}", "", *(f"| {' | '.join(row)} |" for row in rows)]
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes), ""])


def cell_text(cell: Cell) -> str:
    return f"{cell:.1f}" if isinstance(cell, float) else str(cell)


def table_of(outcome: Outcome) -> Table:
    notes = [*outcome.notes, *(f"FAILED, without figures: {failure}" for failure in outcome.failures)]
    if not outcome.compared:
        names = _names(run.figures for run in outcome.runs)
        groups = _groups(outcome.runs, lambda run: run_name(run.labels, run.bridge))
        rows: list[list[Cell]] = [[case, *(_spread(runs, name) for name in names)] for case, runs in groups.items()]
        return Table(outcome.title, ["", *names], rows, notes)
    groups = _groups(outcome.runs, lambda run: case_name(run.labels))
    rows = [row for case, runs in groups.items() for row in _beside_reference(case, runs, outcome.limits)]
    columns = ["", *Bridge, "beside the reference", "limit", "exceeded"]
    return Table(outcome.title, columns, rows, notes)


def _groups(runs: Sequence[Run], name: Any) -> dict[str, list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(name(run), []).append(run)
    return groups


def _beside_reference(case: str, runs: Sequence[Run], limits: Figures) -> list[list[Cell]]:
    ours, reference = ([run.figures for run in runs if run.bridge is bridge] for bridge in Bridge)
    rows: list[list[Cell]] = []
    for name in _names(ours):
        values = [[figures[name] for figures in side if name in figures] for side in (ours, reference)]
        pairs = [
            (one[name], other[name])
            for one, other in zip(ours, reference, strict=True)
            if name in one and name in other
        ]
        rows.append(
            [f"{case}: {name}" if case else name, *map(spread, values), *_judged(name, pairs, limits.get(name))]
        )
    return rows


def _judged(name: str, pairs: Sequence[tuple[float, float]], limit: float | None) -> list[Cell]:
    differs = name.endswith(" ms")
    if not pairs or not (differs or all(value > 0 for pair in pairs for value in pair)):
        return ["", "", ""]
    interval = (paired_difference if differs else paired_ratio)(*zip(*pairs, strict=True))
    if limit is None:
        return [interval.text(), "", ""]
    return [interval.text(), f"{'+' if differs else '×'} {limit:g}", interval.exceeds(limit)]


def _names(some: Iterable[Figures]) -> list[str]:
    return list(dict.fromkeys(name for figures in some for name in figures))


def _spread(runs: Sequence[Run], name: str) -> str:
    return spread([run.figures[name] for run in runs if name in run.figures])


def describe_machine() -> list[str]:
    """Describe the machine and the versions that affect speed, one per line."""
    compiled = Path(playout.__file__).suffix != ".py"
    return [
        f"{_cpu_model()}, {os.cpu_count()} cores, {platform.release()}, load average {os.getloadavg()[0]:.1f}",
        f"Python {platform.python_version()}, " + ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES),
        "services as shipped, compiled" if compiled else "services from source, not compiled",
    ]


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def measured_on(results: Mapping[str, Any]) -> str:
    at = datetime.fromtimestamp(results["at_unix_s"], UTC)
    options = ", ".join(f"{name} {value}" for name, value in results["options"].items())
    facts = [*results["machine"], options]
    return "\n".join([f"Measured {at:%Y-%m-%d %H:%M} UTC", "", *(f"- {fact}" for fact in facts), ""])


def results_page(results: Mapping[str, Any]) -> str:
    """Return the content of bench/RESULTS.md."""
    outcomes = [outcome_from(stored) for stored in results["whole"].values()]
    return "\n".join([_HEAD, measured_on(results), *(table_of(outcome).markdown() for outcome in outcomes)])


def outcome_from(stored: Mapping[str, Any]) -> Outcome:
    runs = [Run(run["labels"], Bridge(run["bridge"]), run["figures"]) for run in stored["runs"]]
    return Outcome(**{**stored, "runs": runs})
