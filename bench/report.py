"""What every measurement takes and returns, and how results become text: tables, the machine, bench/RESULTS.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from bench.figures import spread
from media_gateway.core import playout

Cell: TypeAlias = str | float | int
Run = TypeVar("Run")

_PACKAGES: Final = ("uvloop", "picows", "uvicorn", "starlette", "redis", "hiredis", "msgspec", "numpy")
_HEAD: Final = """# Benchmark results

Written by `python -m bench --write-results` from the JSON of `make bench`; do not edit. The measurements and their
options: `.venv/bin/python -m bench --help`.

Our services and the reference bridge (`bench/reference_bridge.py`: one process, no Redis, no resampling, no failover)
carry the same calls between the same simulators, alternating in one run. Nothing is filtered: delays include what the
host took from the machine. So judge a figure by the reference bridge of the same run, which is disturbed alike.
"""


@dataclass(frozen=True, slots=True)
class Options:
    calls: Sequence[int] = (40,)
    """Concurrent calls."""
    seconds: float = 10.0
    """Length of each run."""
    runs: int = 5
    alone_calls: Sequence[int] = (20, 50, 100, 200)
    """Concurrent calls of one service by itself."""
    ramp_s: float = 300.0
    folder: Path = Path(".lab/bench")
    """For the logs of the processes."""


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


@dataclass(frozen=True, slots=True)
class Outcome:
    tables: list[Table]
    figures: dict[str, Any] = field(default_factory=dict)
    """Everything that was measured, as JSON."""


def grouped(
    title: str,
    runs: Sequence[Run],
    label: Callable[[Run], str],
    columns: Mapping[str, Callable[[Run], float | None]],
    notes: Sequence[str] = (),
) -> Table:
    """A row for each label, in the order of the runs: the mean over its runs, and the range."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(label(run), []).append(run)
    rows = [[name, *(spread(map(column, some)) for column in columns.values())] for name, some in groups.items()]
    return Table(title, ["", *columns], rows, notes)


def cell_text(cell: Cell) -> str:
    return f"{cell:.1f}" if isinstance(cell, float) else str(cell)


def progress(text: str) -> None:
    print(f"  {text}", flush=True)


def describe_machine() -> list[str]:
    """The machine and the versions that matter for speed, a line each."""
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
    return "\n".join(
        [f"Measured {at:%Y-%m-%d %H:%M} UTC", "", *(f"- {fact}" for fact in [*results["machine"], options]), ""]
    )


def results_page(results: Mapping[str, Any]) -> str:
    """bench/RESULTS.md."""
    tables = [Table(**stored).markdown() for found in results["tables"].values() for stored in found]
    return "\n".join([_HEAD, measured_on(results), *tables])
