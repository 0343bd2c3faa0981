"""The figures that the audio path has to keep, beside what was measured."""

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

    def row(self) -> list[Cell]:
        digits = 0 if self.unit == "count" else 2 if self.at_most < 10 else 1
        kept = "yes" if self.measured <= self.at_most else "NO"
        told = f"{self.measured:.{digits}f}" if isfinite(self.measured) else "nothing"
        return [f"{self.what}, {self.unit}", told, f"{self.at_most:g}", kept]


def table(whole: Figures) -> Table | None:
    """`whole`: the figures of the measurements by name; None when nothing that has a limit was measured."""
    limits = list(_limits(whole))
    if not limits:
        return None
    columns = ["", "measured", "at most", "kept"]
    return Table("Limits", columns, [limit.row() for limit in limits], (f"At {CALLS} calls; medians of the runs.",))


def _limits(whole: Figures) -> Iterator[Limit]:
    runs: Sequence[Figures] = [run for run in whole.get("calls", {}).get("runs", []) if run["calls"] == CALLS]
    for shape, most in (("deltas", 8.0), ("echo", 11.0)):
        yield from _of_shape(shape, most, [run for run in runs if run["shape"] == shape])
    yield from _memory([run for run in runs if run["bridge"] == "ours"])
    barge_in = whole.get("barge-in", {})
    if barge_in.get("calls") == CALLS:
        yield Limit("speech_started to StopAudio, p99", _share(barge_in["ours"], "p99"), 10.0)
        yield Limit("barge-ins without StopAudio", barge_in["ours"]["missed"], 0, "count")
    yield from _alone(whole.get("alone", {}))
    for name, what, most in (
        ("answer", "IncomingCall to answer request", 50.0),
        ("greeting", "media socket open to greeting", 60.0),
    ):
        if name in whole:
            yield Limit(f"{what}, p99", _share(whole[name], "p99"), most)
            yield Limit(
                f"{what}: calls that did not come so far", whole[name]["calls"] - whole[name]["count"], 0, "count"
            )


def _share(delays: Figures, share: str) -> float:
    """Of nothing at all there is no delay that could keep a limit."""
    return float(delays[share]) if delays["count"] else inf


def _of_shape(shape: str, most: float, runs: Sequence[Figures]) -> Iterator[Limit]:
    ours = [run for run in runs if run["bridge"] == "ours"]
    reference = [run["cpu_together_ms"] for run in runs if run["bridge"] == "reference"]
    if not ours:
        return
    cpu = median(run["cpu_together_ms"] for run in ours)
    yield Limit(f"{shape}: CPU of all our processes and Redis", cpu, most, "ms/s/call")
    if reference:
        yield Limit(f"{shape}: the same, to the reference bridge", cpu / median(reference), 1.0, "ratio")
    for way in ("uplink", "downlink"):
        for share, at_most in (("p50", 4.0), ("p99", 8.0)):
            yield Limit(f"{shape}: {way} delay {share}", median(_share(run[way], share) for run in ours), at_most)
    wrong = sum(
        run[f"{way}_counts"][kind]
        for run in ours
        for way in ("uplink", "downlink")
        for kind in ("lost", "repeated", "disordered", "foreign")
    )
    yield Limit(f"{shape}: calls not answered", sum(run["calls"] - run["answered"] for run in ours), 0, "count")
    yield Limit(f"{shape}: frames lost, repeated, disordered or foreign", wrong, 0, "count")


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
