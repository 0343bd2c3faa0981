"""Reads a recording of `lab chaos --record-metrics` and puts its samples on a grid, as Prometheus would scrape them."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "recordings"
STEP_S: Final = 5.0
"""Time between two scrapes. Shorter than usual, because the recordings are short."""
START_TIME: Final = "process_start_time_seconds"
"""Counted like a counter, so that it changes in a tape only where a process was restarted in a recording."""
_SAMPLE: Final = re.compile(r"^(([a-z_]\w*)\{.*\}) (\S+) (\S+)$")
_POD: Final = re.compile(r'\bpod="([^"]*)"')

Grid = list[float | None]
"""One value for each scrape; None if the process did not answer or does not have the series."""


@dataclass(frozen=True, slots=True)
class Recording:
    """`series`: `name{labels}` → values on the grid; all have the same length."""

    series: Mapping[str, Grid]
    counters: frozenset[str]
    """The series that only grow, and start again at 0 in a new process."""
    up: Mapping[str, Grid]
    """Pod → 1 for each scrape that it answered."""

    @property
    def steps(self) -> int:
        return max(map(len, self.series.values()))

    def during(self, metric: str, value: float) -> Recording:
        """Return only the scrapes at which a series of the metric had this value; of a positive one also: or more."""
        grids = [grid for series, grid in self.series.items() if series.startswith(f"{metric}{{")]

        def matches(sample: float | None) -> bool:
            return sample is not None and (sample >= value if value else sample == 0)

        return self._only([step for step in range(self.steps) if any(matches(grid[step]) for grid in grids)])

    def after(self, scrapes: int) -> Recording:
        """Return the recording without its first scrapes."""
        return self._only(range(scrapes, self.steps))

    def _only(self, steps: Sequence[int]) -> Recording:
        def of(grids: Mapping[str, Grid]) -> dict[str, Grid]:
            return {name: [grid[step] for step in steps] for name, grid in grids.items()}

        return Recording(of(self.series), self.counters, of(self.up))

    def names(self) -> set[str]:
        return {series.partition("{")[0] for series in self.series}


def paths() -> dict[str, Path]:
    """Return the recordings by name."""
    return {path.name.removesuffix(".om.gz"): path for path in sorted(FOLDER.glob("*.om.gz"))}


def text_of(name: str) -> str:
    return gzip.decompress((FOLDER / f"{name}.om.gz").read_bytes()).decode()


def load(name: str, wanted: set[str] | None = None, *, step_s: float = STEP_S) -> Recording:
    """Load a recording. `wanted`: only metrics with these names, and `up`. `step_s`: time between two scrapes."""
    return decode(text_of(name), wanted, step_s)


def decode(text: str, wanted: set[str] | None = None, step_s: float = STEP_S) -> Recording:
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    samples: dict[str, list[tuple[float, float]]] = {}
    counters = set()
    for series, name, value, at_s in _samples(text):
        if wanted is None or name in wanted or name == "up":
            samples.setdefault(series, []).append((at_s, value))
            base = re.sub(r"_(total|bucket|count|sum)$", "", name)
            if kinds.get(base) in ("counter", "histogram") or name == START_TIME:
                counters.add(series)
    began = min(rows[0][0] for rows in samples.values())
    steps = 1 + int((max(rows[-1][0] for rows in samples.values()) - began) / step_s)
    grids = {series: _grid(rows, began, steps, step_s) for series, rows in samples.items()}
    up = {pod_of(series): grid for series, grid in grids.items() if series.startswith("up{")}
    return Recording(grids, frozenset(counters), up)


def pod_of(series: str) -> str:
    found = _POD.search(series)
    return found[1] if found else ""


def _samples(text: str) -> Iterator[tuple[str, str, float, float]]:
    for line in text.splitlines():
        if found := _SAMPLE.match(line):
            yield found[1], found[2], float(found[3]), float(found[4])


def _grid(rows: list[tuple[float, float]], began: float, steps: int, step_s: float) -> Grid:
    """Return the first sample within each interval."""
    grid: Grid = [None] * steps
    for at_s, value in reversed(rows):
        grid[int((at_s - began + 1e-3) / step_s)] = value
    return grid
