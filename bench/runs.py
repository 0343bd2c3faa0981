"""Measurements and their runs, which alternate between this bridge and the reference bridge; stored as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Final

from bench.bridges import Bridge
from lab.stack import StackError
from lab.wire import WireError

JSON_PATH: Final = Path("out/bench.json")
Labels = Mapping[str, str | int]
"""Parameters that identify the measurement, e.g. calls, shape, service."""
Figures = Mapping[str, float]
"""Values by their names, which end with the unit."""


class NotMeasuredError(RuntimeError):
    """A figure is missing. The message contains the measurement to run."""


@dataclass(frozen=True, slots=True)
class Options:
    calls: Sequence[int] = (40,)
    """Concurrent calls."""
    seconds: float = 10.0
    """Duration of each run."""
    runs: int = 5
    alone_calls: Sequence[int] = (20, 50, 100, 200)
    """Concurrent calls when one service is measured by itself."""
    ramp_s: float = 300.0
    folder: Path = Path(".lab/bench")
    """Directory for the logs of the processes."""


@dataclass(frozen=True, slots=True)
class Run:
    labels: Labels
    bridge: Bridge
    figures: Figures


@dataclass(frozen=True, slots=True)
class Outcome:
    title: str
    runs: Sequence[Run]
    failures: Sequence[str] = ()
    notes: Sequence[str] = ()
    limits: Figures = field(default_factory=dict)
    """Allowed values by figure: of the difference to the reference bridge for milliseconds, otherwise of the ratio to
    it.
    """
    compared: bool = True
    """Whether each run of this bridge has one of the reference bridge as its pair."""
    extra: Mapping[str, Any] = field(default_factory=dict)


Measure = Callable[[Any, Bridge], Figures]
"""Measure one case with one bridge. Raises `StackError`, `WireError`, `TimeoutError`."""


def alternate(
    repetitions: int, cases: Sequence[Labels], measure: Measure, bridges: Sequence[Bridge] = tuple(Bridge)
) -> tuple[list[Run], list[str]]:
    """Run all cases, and return the runs and the failures. The order of the bridges alternates; a run whose pair failed
    is dropped.
    """
    runs: list[Run] = []
    failures: list[str] = []
    for repetition, labels in product(range(repetitions), cases):
        found: dict[Bridge, Run] = {}
        for bridge in bridges if repetition % 2 == 0 else bridges[::-1]:
            name = run_name(labels, bridge)
            try:
                found[bridge] = Run(labels, bridge, measure(labels, bridge))
                progress(f"{name}: {figures_text(found[bridge].figures)}")
            except (StackError, WireError, TimeoutError) as error:
                failures.append(f"{name}: {error!r}")
                progress(f"FAILED: {failures[-1]}")
        runs += [found[bridge] for bridge in bridges] if len(found) == len(bridges) else []
    return runs, failures


def read_results(path: Path) -> dict[str, Any]:
    """Read the stored results. Raises `NotMeasuredError`."""
    if not path.exists():
        raise NotMeasuredError(f"{path} not found; run python -m bench first")
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return results


def case_name(labels: Labels) -> str:
    return ", ".join(f"{value} calls" if name == "calls" else str(value) for name, value in labels.items())


def run_name(labels: Labels, bridge: str) -> str:
    return ", ".join(filter(None, (case_name(labels), bridge)))


def figures_text(figures: Figures) -> str:
    """Format the first figures, which are the most important ones."""
    return ", ".join(f"{name} {value:.1f}" for name, value in list(figures.items())[:4])


def progress(text: str) -> None:
    print(f"  {text}", flush=True)
