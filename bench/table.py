"""What a measurement hands back: a table that is printed, and stored as JSON."""

from __future__ import annotations

import timeit
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TypeAlias

Cell: TypeAlias = str | float | int


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default_factory=tuple)

    def render(self) -> str:
        cells = [list(self.columns), *([cell_text(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.columns))]
        lines = [
            "  ".join(
                _aligned(cell, width, first=n == 0) for n, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in cells
        ]
        rule = "  ".join("-" * width for width in widths)
        return "\n".join([self.title, "", lines[0], rule, *lines[1:], *(f"  {note}" for note in self.notes)])

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


Bench: TypeAlias = Callable[[int], list[Table]]
"""A measurement: takes the number of repeats of each timing, returns its tables."""


def best_us(step: Callable[[], object], repeats: int, calls: int = 1000) -> float:
    """Microseconds of one call: the best of `repeats` runs, which other load on the machine disturbs least."""
    return min(timeit.repeat(step, number=calls, repeat=repeats)) / calls * 1e6


def cell_text(cell: Cell) -> str:
    return f"{cell:.1f}" if isinstance(cell, float) else str(cell)


def _aligned(cell: str, width: int, *, first: bool) -> str:
    return cell.ljust(width) if first else cell.rjust(width)
