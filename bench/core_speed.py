"""When the machine's cores were slowed down from outside while something was measured, and what is left without that.

A host can slow the cores of its virtual machines to a tenth for fifty milliseconds at a time (to keep within its
power, or to serve its neighbours), and not tell the machine: nothing of it is *stolen* (see `interference`). All that
runs then is late, whatever it is made of, and a p99 says how often it happened.

So a thread does a small piece of work every 5 ms, always the same, and notes the CPU time it took. CPU time, because
that does not grow while it waits for a core: a machine that is merely busy, with what is measured or with anything
else, is not slowed. Work that took four times what it usually takes was done on slowed cores.

What is left out is chosen by when it **began**, never by how long it took: what began while the cores were slowed,
shortly before (and so was under way), and for as long again after it (while what had piled up was worked off). Figures
of all time are kept beside those of the rest, and both bridges are measured alike.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import quantiles
from types import TracebackType
from typing import Final, Self

from bench.process_time import cpu_s

EVERY_S: Final = 0.005
SLOWED: Final = 4.0
"""So many times what the work usually takes. The other half of a core at work for somebody else makes it twice."""
LEFT_OUT: Final = (
    "Slowed: of the time, what is left out because the cores were slowed from outside, which bench/core_speed.py sees."
)
_STEPS: Final = 2_000
"""Of the piece of work: about a tenth of a millisecond."""

Window = tuple[float, float]
"""Beginning and end, monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Beat:
    """One piece of work. Monotonic seconds."""

    began: float
    ended: float
    work_s: float
    """The CPU time it took."""
    used_s: tuple[float, ...] = ()
    """CPU seconds that each of the watched processes had used by its end."""


@dataclass(frozen=True, slots=True)
class Slowed:
    """The times that are left out, in order, none overlapping another."""

    windows: tuple[Window, ...] = ()

    def within(self, t: float, before_s: float = 0.0) -> bool:
        """Whether what begins at `t` is left out; `before_s`: how long it may be under way."""
        next_one = bisect_left(self.windows, t, key=lambda window: window[1])
        return next_one < len(self.windows) and self.windows[next_one][0] - before_s <= t

    def pct(self, window: Window) -> float:
        """Of the time within `window`."""
        out = sum(max(0.0, min(end, window[1]) - max(begin, window[0])) for begin, end in self.windows)
        length = window[1] - window[0]
        return round(100 * out / length, 1) if length > 0 else 0.0


def slowed(beats: Sequence[Beat]) -> Slowed:
    """From the last beat at full speed before it, to as long again after the last slow one."""
    if len(beats) < 2:
        return Slowed()
    usual_s = quantiles((beat.work_s for beat in beats), n=4)[0]
    found: list[Window] = []
    began: float | None = None
    for last, beat in pairwise(beats):
        if beat.work_s > SLOWED * usual_s:
            began = last.ended if began is None else began
        elif began is not None:
            found.append((began, last.ended + (last.ended - began)))
            began = None
    if began is not None:
        found.append((began, beats[-1].ended))
    return Slowed(tuple(_joined(found)))


def _joined(windows: Sequence[Window]) -> list[Window]:
    found: list[Window] = []
    for begin, end in windows:
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def used_per_s(beats: Sequence[Beat], names: Sequence[str], out: Slowed) -> dict[str, float]:
    """CPU seconds a second of each watched process, in the time that is not left out; empty if there is none."""
    used, passed = [0.0] * len(names), 0.0
    for one, other in pairwise(beats):
        if out.within(one.ended) or out.within(other.ended):
            continue
        passed += other.ended - one.ended
        for index in range(len(names)):
            used[index] += other.used_s[index] - one.used_s[index]
    return {name: spent / passed for name, spent in zip(names, used, strict=True)} if passed > 0 else {}


class SpeedWatch:
    """Watches the cores, and what processes use, from `with` to its end.

    `pids`: process ids by the names of the processes. Raises at the end what the watching raised: `psutil.Error` for
    a process that is gone.
    """

    def __init__(self, pids: Mapping[str, int] | None = None) -> None:
        self._pids = dict(pids or {})
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="core-speed", daemon=True)
        self._beats: list[Beat] = []
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    @property
    def slowed(self) -> Slowed:
        return slowed(self._beats)

    def used_per_s(self) -> dict[str, float]:
        """CPU seconds a second of each process, while the cores ran at their speed; empty if they never did."""
        return used_per_s(self._beats, list(self._pids), self.slowed)

    def _watch(self) -> None:
        pids = list(self._pids.values())
        try:
            while not self._over.wait(EVERY_S):
                began, work_s = time.monotonic(), _work_s()
                self._beats.append(Beat(began, time.monotonic(), work_s, tuple(cpu_s(pid) for pid in pids)))
        except Exception as error:
            self._failure = error


def _work_s() -> float:
    began = time.thread_time()
    sum(number * number for number in range(_STEPS))
    return time.thread_time() - began
