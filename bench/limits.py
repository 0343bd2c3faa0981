"""The figures that the audio path has to keep, beside what was measured.

CPU and delays are judged by what was measured while the cores ran at their speed (`core_speed`); what it is of all time
stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from statistics import median
from typing import Any, Final

from bench.table import Cell, Table

CALLS: Final = 40
"""The size at which they are judged."""
SERVICES: Final = ("call-control", "media-gateway", "agent-relay")

Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Limit:
    what: str
    measured: float
    at_most: float
    unit: str = "ms"
    all_time: float | None = None
    """The same with the times in which the cores were slowed, where that makes a difference."""

    def row(self) -> list[Cell]:
        kept = "yes" if self.measured <= self.at_most else "NO"
        all_time = ""
        if self.all_time is not None:
            all_time = self._told(self.all_time) + ("" if self.all_time <= self.at_most else " NO")
        return [f"{self.what}, {self.unit}", self._told(self.measured), f"{self.at_most:g}", kept, all_time]

    def _told(self, value: float) -> str:
        digits = 0 if self.unit == "count" else 2 if self.at_most < 10 else 1
        return f"{value:.{digits}f}" if isfinite(value) else "nothing"


def table(whole: Figures) -> Table | None:
    """`whole`: the figures of the measurements by name; None when nothing that has a limit was measured."""
    limits = list(_limits(whole))
    if not limits:
        return None
    columns = ["", "measured", "at most", "kept", "of all time"]
    note = (
        f"At {CALLS} calls; medians of the runs. Measured: while the cores ran at their speed. Of all time: also while "
        "they were slowed from outside (bench/core_speed.py); NO: more than the limit."
    )
    return Table("Limits", columns, [limit.row() for limit in limits], (note,))


def _limits(whole: Figures) -> Iterator[Limit]:
    runs: Sequence[Figures] = [run for run in whole.get("calls", {}).get("runs", []) if run["calls"] == CALLS]
    for shape, most in (("deltas", 8.0), ("echo", 11.0)):
        yield from _of_shape(shape, most, [run for run in runs if run["shape"] == shape])
    yield from _memory([run for run in runs if run["bridge"] == "ours"])
    barge_in = whole.get("barge-in", {})
    if barge_in.get("calls") == CALLS:
        yield _p99("speech_started to StopAudio", barge_in["ours"], 10.0)
        yield Limit("barge-ins without StopAudio", barge_in["ours"]["missed"], 0, "count")
    yield from _alone(whole.get("alone", {}))
    for name, what, most in (
        ("answer", "IncomingCall to answer request", 50.0),
        ("greeting", "media socket open to greeting", 60.0),
    ):
        if name in whole:
            yield _p99(what, whole[name], most)
            came_so_far = whole[name]["all_time"]["count"]
            yield Limit(f"{what}: calls that did not come so far", whole[name]["calls"] - came_so_far, 0, "count")


def _p99(what: str, found: Figures, at_most: float) -> Limit:
    return Limit(f"{what}, p99", _share(found, "p99"), at_most, all_time=_share(found["all_time"], "p99"))


def _share(delays: Figures, share: str) -> float:
    """Of nothing at all there is no delay that could keep a limit."""
    return float(delays[share]) if delays["count"] else inf


def _of_shape(shape: str, most: float, runs: Sequence[Figures]) -> Iterator[Limit]:
    ours = [run for run in runs if run["bridge"] == "ours"]
    reference = [run for run in runs if run["bridge"] == "reference"]
    if not ours:
        return
    cpu, cpu_all_time = _cpu(ours)
    yield Limit(f"{shape}: CPU of all our processes and Redis", cpu, most, "ms/s/call", cpu_all_time)
    if reference:
        theirs, theirs_all_time = _cpu(reference)
        ratios = (cpu / theirs, cpu_all_time / theirs_all_time)
        yield Limit(f"{shape}: the same, to the reference bridge", ratios[0], 1.0, "ratio", ratios[1])
    for way in ("uplink", "downlink"):
        for share, at_most in (("p50", 4.0), ("p99", 8.0)):
            measured, all_time = (
                median(_share(some[way], share) for some in found)
                for found in (ours, [run["all_time"] for run in ours])
            )
            yield Limit(f"{shape}: {way} delay {share}", measured, at_most, all_time=all_time)
    wrong = sum(
        run[f"{way}_counts"][kind]
        for run in ours
        for way in ("uplink", "downlink")
        for kind in ("lost", "repeated", "disordered", "foreign")
    )
    yield Limit(f"{shape}: calls not answered", sum(run["calls"] - run["answered"] for run in ours), 0, "count")
    yield Limit(f"{shape}: frames lost, repeated, disordered or foreign", wrong, 0, "count")


def _cpu(runs: Sequence[Figures]) -> tuple[float, float]:
    """While the cores ran at their speed, and of all time. Medians."""
    return median(run["cpu_together_ms"] for run in runs), median(run["all_time"]["cpu_together_ms"] for run in runs)


def _alone(alone: Figures) -> Iterator[Limit]:
    """What a call costs in a process with many, to what it costs in one with few. Of other traffic than was due there
    is no figure.
    """
    for service, shapes in alone.get("growth", {}).items():
        for shape, found in shapes.items():
            ratio = found["ratio"] if found["kept_up"] else inf
            yield Limit(f"{service} alone, {shape}: CPU per call at 200 calls to that at 20", ratio, 1.1, "ratio")


def _memory(runs: Sequence[Figures]) -> Iterator[Limit]:
    for name in (*SERVICES, "redis"):
        grown = [run["memory"][name]["mb_per_call"] for run in runs if name in run["memory"]]
        if grown:
            yield Limit(f"memory of {name}", max(grown), 2.0 if name == "redis" else 0.5, "MB/call")
