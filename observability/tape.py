"""Plays recordings one after the other, each as often as wanted, as the input series of `promtool test rules`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Final

from observability.recording import Grid, Recording, pod_of

_BOUND: Final = re.compile(r'\ble="[^"]*"')


def played(parts: Sequence[tuple[Recording, int]], *, every: int = 1) -> dict[str, Grid]:
    """Return the values of each series over all parts: (recording, how often). `every`: only each of so many scrapes.

    Counters continue where the previous repetition stopped, with the growth of the recording; a new process in a
    recording counts from 0 as it does for `increase`. A series of a process that is not there is missing.
    """
    names = {series for recording, _ in parts for series in recording.series}
    return _without_zeros({series: list(islice(_values(series, parts), 0, None, every)) for series in sorted(names)})


def _without_zeros(grids: Mapping[str, Grid]) -> dict[str, Grid]:
    """Keep one of the series that are always 0, for each process, metric and bucket. Sums and maxima are the same, and
    most series of a process are 0.
    """
    kept: dict[str, Grid] = {}
    zeros: set[tuple[str, str | None, str]] = set()
    for series, grid in grids.items():
        if not any(grid):
            bound = _BOUND.search(series)
            place = (series.partition("{")[0], bound and bound[0], pod_of(series))
            if place in zeros:
                continue
            zeros.add(place)
        kept[series] = grid
    return kept


def notation(values: Iterable[float | None]) -> str:
    """Return the values in promtool's notation. A series that ends gets a stale marker, as Prometheus writes it."""
    words: list[str] = []
    previous: float | None = None
    for value, run in groupby(values):
        count = len(list(run))
        if value is None:
            words += ["stale"] if previous is not None else ["_"]
            words += [f"_x{count - 1}"] if count > 1 else []
        else:
            words.append(f"{value!r}+0x{count - 1}" if count > 1 else repr(value))
        previous = value
    return " ".join(words)


def _values(series: str, parts: Sequence[tuple[Recording, int]]) -> Iterator[float | None]:
    total: float | None = None
    for recording, times in parts:
        grid = recording.series.get(series) or [None] * recording.steps
        grows, up = series in recording.counters, recording.up.get(pod_of(series)) or [None] * recording.steps
        for _ in range(times):
            if not grows:
                yield from grid
                continue
            last: float | None = None
            for value, answered in zip(grid, up, strict=True):
                if value is not None:
                    if total is None:
                        total = value
                    elif last is not None:
                        total += value - last if value >= last else value
                    last = value
                elif answered:
                    last = 0.0  # the series appears with its first event
                yield total if answered else None
