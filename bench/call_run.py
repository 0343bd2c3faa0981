"""One run: so many calls at once through one bridge, for so many seconds, and everything that was seen of them."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.bridges import SIMULATORS, Bridge, Environment, Shape, merged, stack_of
from bench.core_speed import Slowed, SpeedWatch, Window
from bench.interference import Moment
from bench.playout_plan import Lead, delays_ms
from bench.spread import Delays
from lab.load import EDGE_S
from lab.mark_report import Direction
from lab.stack import Stack, running
from lab.traffic import (
    CallMarks,
    await_talking,
    collect,
    cpu_s,
    directions,
    hang_up,
    place_calls,
    rss_bytes,
)
from lab.wire import call_json

WARM_UP_CALLS: Final = 2
_WARM_UP_NUMBER: Final = 60_000
_SETTLE_S: Final = 1.0
UNDER_WAY_S: Final = 0.02
"""A frame that was sent so shortly before the cores were slowed may have been under way."""
MB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Counts:
    """Frames of one direction, of all calls."""

    sent: int
    lost: int
    repeated: int
    disordered: int
    foreign: int

    @classmethod
    def of(cls, direction: Direction) -> Counts:
        return cls(direction.sent, direction.lost, direction.repeated, direction.disordered, direction.foreign)

    @property
    def clean(self) -> bool:
        return self.sent > 0 and not (self.lost or self.repeated or self.disordered or self.foreign)


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident, of one process."""

    mb_without_calls: float
    """After a few calls that are over: what only the first call needs is there already."""
    mb: float
    mb_per_call: float


@dataclass(frozen=True, slots=True)
class AllTime:
    """What a run's figures are with the times in which the cores were slowed."""

    cpu_together_ms: float
    uplink: Delays
    downlink: Delays


@dataclass(frozen=True, slots=True)
class Run:
    """CPU and delays are those of the time in which the cores ran at their speed, see `core_speed`."""

    bridge: Bridge
    shape: Shape
    calls: int
    answered: int
    seconds: float
    cpu_ms: Mapping[str, float]
    """CPU ms per second and call of each process of the bridge."""
    cpu_together_ms: float
    cpu_simulators_ms: float
    busy_cores: float
    """Cores that bridge and simulators used together, of those that there are."""
    uplink: Delays
    downlink: Delays
    """One way, socket to socket, the resampler's delay included; of deltas only first frames, see `playout_plan`."""
    resampler_ms: tuple[float, float]
    """Up and down, as measured on the marks; part of the delays."""
    lead: Delays
    """How long before it sounds a frame arrives at the caller's end, see `playout_plan`."""
    gaps: int
    uplink_counts: Counts
    downlink_counts: Counts
    memory: Mapping[str, Memory]
    load_average: float
    stolen_pct: float
    """What the machine's host gave to others meanwhile, see `interference`."""
    slowed_pct: float
    """Of the time, which is left out."""
    all_time: AllTime

    @property
    def clean(self) -> bool:
        return self.answered == self.calls and self.uplink_counts.clean and self.downlink_counts.clean


def run_calls(
    bridge: Bridge, shape: Shape, calls: int, seconds: float, folder: Path, extra: Environment | None = None
) -> Run:
    """Raises `StackError`, `NoRedisError`, `WireError`."""
    environment = merged({"voice-live": shape.voice_live}, extra or {})
    with running(stack_of(bridge, calls, folder, environment)) as stack:
        call_json("PUT", f"{stack.url('voice-live')}/lab/agent", {"mode": "marks"})
        warm_up(stack)
        return _measured(stack, bridge, shape, calls, seconds)


def warm_up(stack: Stack) -> None:
    """A few calls for everything that is made with the first call."""
    placed = place_calls(stack, range(_WARM_UP_NUMBER, _WARM_UP_NUMBER + WARM_UP_CALLS))
    await_talking(stack, placed)
    time.sleep(_SETTLE_S)
    hang_up(stack, placed)
    time.sleep(_SETTLE_S)


def _measured(stack: Stack, bridge: Bridge, shape: Shape, calls: int, seconds: float) -> Run:
    rss_before = rss_bytes(stack)
    placed = place_calls(stack, range(1, calls + 1))
    answered = await_talking(stack, placed)
    time.sleep(_SETTLE_S)
    pids = {process.name: process.pid for process in stack.processes if process.pid}
    with SpeedWatch(pids) as watch:
        moment, began, before = Moment.now(), time.monotonic(), cpu_s(stack)
        time.sleep(seconds)
        ended, after, stolen_pct = time.monotonic(), cpu_s(stack), moment.stolen_pct(Moment.now())
    rss, load_average = rss_bytes(stack), os.getloadavg()[0]
    hang_up(stack, placed)
    used_in_all = {name: (after[name] - before[name]) / (ended - began) for name in before}
    used = watch.used_per_s() or used_in_all
    marks = collect(stack, placed)
    window = (began, ended - EDGE_S)
    uplink, downlink = directions(marks, window)
    lead = _lead(marks, window)
    return Run(
        bridge=bridge,
        shape=shape,
        calls=calls,
        answered=answered,
        seconds=round(ended - began, 1),
        cpu_ms={name: round(s * 1000 / calls, 2) for name, s in used.items() if name not in SIMULATORS},
        cpu_together_ms=_together_ms(used, calls),
        cpu_simulators_ms=round(sum(s for name, s in used.items() if name in SIMULATORS) * 1000 / calls, 2),
        busy_cores=round(sum(used_in_all.values()), 2),
        uplink=Delays.of(_uplink_delays(marks, window, watch.slowed)),
        downlink=Delays.of(_downlink_delays(marks, bridge, window, watch.slowed)),
        resampler_ms=_shifts(marks),
        lead=Delays.of(lead.ms),
        gaps=lead.gaps,
        uplink_counts=Counts.of(uplink),
        downlink_counts=Counts.of(downlink),
        memory=_memory(rss_before, rss, calls),
        load_average=round(load_average, 2),
        stolen_pct=stolen_pct,
        slowed_pct=watch.slowed.pct(window),
        all_time=AllTime(
            _together_ms(used_in_all, calls),
            Delays.of(_uplink_delays(marks, window, Slowed())),
            Delays.of(_downlink_delays(marks, bridge, window, Slowed())),
        ),
    )


def _together_ms(used_per_s: Mapping[str, float], calls: int) -> float:
    """CPU ms per second and call of the bridge's processes."""
    return round(sum(s for name, s in used_per_s.items() if name not in SIMULATORS) * 1000 / calls, 2)


def _uplink_delays(marks: Sequence[CallMarks], window: Window, out: Slowed) -> list[float]:
    delays: list[float] = []
    for call in marks:
        heard_at = {seq: t for number, seq, t in reversed(call.uplink_heard) if number == call.number}
        delays += [
            (heard_at[seq] - t) * 1000 + call.uplink_shift_ms
            for seq, t in call.uplink_sent
            if window[0] <= t <= window[1] and seq in heard_at and not out.within(t, UNDER_WAY_S)
        ]
    return delays


def _downlink_delays(marks: Sequence[CallMarks], bridge: Bridge, window: Window, out: Slowed) -> list[float]:
    delays: list[float] = []
    for call in marks:
        heard_at = {seq: t for number, seq, t in reversed(call.downlink_heard) if number == call.number}
        measured = delays_ms(call.downlink_sent, heard_at, bridge.lead_s, window)
        delays += [
            delay_ms + call.downlink_shift_ms for sent, delay_ms in measured if not out.within(sent, UNDER_WAY_S)
        ]
    return delays


def _lead(marks: Sequence[CallMarks], window: Window) -> Lead:
    lead = Lead()
    for call in marks:
        lead.add((t for _, _, t in call.downlink_heard), window)
    return lead


def _shifts(marks: Sequence[CallMarks]) -> tuple[float, float]:
    return (
        round(max((call.uplink_shift_ms for call in marks), default=0.0), 2),
        round(max((call.downlink_shift_ms for call in marks), default=0.0), 2),
    )


def _memory(before: Mapping[str, int], after: Mapping[str, int], calls: int) -> dict[str, Memory]:
    return {
        name: Memory(
            round(before[name] / MB, 1), round(after[name] / MB, 1), round((after[name] - before[name]) / MB / calls, 3)
        )
        for name in after
        if name not in SIMULATORS
    }
