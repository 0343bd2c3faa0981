"""What all measurements of the whole system share: their options, and what they hand back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from bench.table import Table


@dataclass(frozen=True, slots=True)
class Options:
    calls: tuple[int, ...] = (20, 40)
    seconds: float = 10.0
    runs: int = 3
    """How often each combination is measured; medians count, and the spread is told."""
    folder: Path = Path(".lab/bench")
    """Where the logs of the processes go."""
    ramp_s: float = 300.0
    """What a ramp may take."""
    alone_calls: tuple[int, ...] = (20, 50, 100, 200)
    """Calls in one service by itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    tables: list[Table]
    figures: dict[str, object] = field(default_factory=dict)
    """Everything that was measured, as JSON."""


Measurement: TypeAlias = Callable[[Options], Outcome]


def progress(text: str) -> None:
    print(f"  {text}", flush=True)
