"""What others took from the machine while something was measured: without it a figure says little about the code.

A virtual machine shares its cores. What its host gives to others meanwhile is *stolen*: everything on the core stands
still for milliseconds, which makes the slowest hundredth of all delays. And a core is slower while the other half of it
works for somebody else: the same work then takes up to twice the CPU time.

So what was measured while much was stolen is measured again (`least_disturbed`). That looks at the machine alone, never
at the result, and is the same for ours and for the reference.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final, TypeVar

import psutil

from bench.table import Table
from bench.whole import progress

Result = TypeVar("Result")

MOST_STOLEN_PCT: Final = 5.0
ATTEMPTS: Final = 3
AGAIN: Final = (
    f"What was measured while more than {MOST_STOLEN_PCT:.0f} % was stolen is measured again, {ATTEMPTS} times in all; "
    "the attempt with the least counts."
)
_WORK: Final = 20_000
"""Steps of the piece of work: about a millisecond."""
_TIMES: Final = 100


@dataclass(frozen=True, slots=True)
class Moment:
    """CPU seconds of all cores since the machine started."""

    worked_s: float
    stolen_s: float

    @classmethod
    def now(cls) -> Moment:
        """Where the system tells of no stolen time there was none."""
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        stolen = float(getattr(times, "steal", 0.0))
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # within user and nice as well
        return cls(sum(times) - idle - stolen - guests, stolen)

    def stolen_pct(self, later: Moment) -> float:
        """Of the time in which this machine had something to do, until `later`."""
        worked, stolen = later.worked_s - self.worked_s, later.stolen_s - self.stolen_s
        return round(100 * stolen / (worked + stolen), 1) if worked + stolen > 0 else 0.0


def least_disturbed(attempt: Callable[[], tuple[Result, float]]) -> Result:
    """`attempt` measures, and tells what was stolen meanwhile in %. Raises what it raises."""
    found: list[tuple[Result, float]] = []
    while not found or (found[-1][1] > MOST_STOLEN_PCT and len(found) < ATTEMPTS):
        if found:
            progress(f"{found[-1][1]:.0f} % stolen, once more")
        found.append(attempt())
    return min(found, key=lambda one: one[1])[0]


def least_disturbed_whole(measure: Callable[[], Result]) -> Result:
    """The same for what does not tell: from the beginning of `measure` to its end."""

    def attempt() -> tuple[Result, float]:
        began = Moment.now()
        result = measure()
        return result, began.stolen_pct(Moment.now())

    return least_disturbed(attempt)


@dataclass(frozen=True, slots=True)
class Interference:
    stolen_pct: float
    load_average: float
    work_ms: tuple[float, float]
    """The same piece of work, least and median of `_TIMES`: how far they are apart, and from another run's, tells how
    fast the cores were."""


class Watch:
    """From its making to `interference`, the time that something is measured."""

    def __init__(self) -> None:
        self._work_ms = fixed_work_ms()
        self._began = Moment.now()

    def interference(self) -> Interference:
        stolen_pct = self._began.stolen_pct(Moment.now())
        load_average = round(os.getloadavg()[0], 2)
        works_ms = self._work_ms + fixed_work_ms()
        return Interference(stolen_pct, load_average, (round(min(works_ms), 2), round(median(works_ms), 2)))


def fixed_work_ms() -> list[float]:
    """CPU ms of a piece of work that is always the same."""
    found: list[float] = []
    for _ in range(_TIMES // 2):
        began = time.thread_time()
        sum(number * number for number in range(_WORK))
        found.append((time.thread_time() - began) * 1000)
    return found


def table(parts: Mapping[str, Interference]) -> Table:
    rows: list[list[str | float]] = [
        [name, one.stolen_pct, one.load_average, *one.work_ms] for name, one in parts.items()
    ]
    what = (
        "Stolen: of the time in which the machine had something to do, what its host gave to others. The piece of work "
        "is always the same, done before and after each part: with a median above the least the cores were slower."
    )
    columns = ["", "stolen, %", "load average after", "a piece of work, ms: least", "median"]
    return Table("What others took from the machine", columns, rows, (what,))
