"""One run: concurrent calls through one bridge for some seconds, with CPU, delay, memory and frame counts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.bridges import SIMULATORS, Bridge, Environment, Shape, merged, stack_of
from bench.downlink_delay import Window, delays_ms, underruns
from bench.figures import Delays
from lab.load import EDGE_S
from lab.stack import Stack, running
from lab.traffic import CallMarks, await_talking, collect, cpu_s, directions, hang_up, place_calls, rss_bytes
from lab.wire import call_json

MB: Final = 2**20
_WARM_UP_NUMBERS: Final = (60_000, 60_001)
_SETTLE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    bridge: Bridge
    shape: Shape
    calls: int
    answered: int
    cpu_ms: Mapping[str, float]
    """CPU ms per second and call, by process of the bridge."""
    cpu_together_ms: float
    cpu_simulators_ms: float
    busy_cores: float
    """Used by bridge and simulators together."""
    uplink: Delays
    downlink: Delays
    """One way, socket to socket, including the resampler; which frames count: `downlink_delay`."""
    resampler_ms: tuple[float, float]
    """Share of the resamplers in uplink and downlink delay, measured on the marks."""
    underruns: int
    frames: int
    """Sent, in both directions."""
    faults: Mapping[str, int]
    """Frames that were lost, repeated, out of order, or heard in another call."""
    mb_before: Mapping[str, float]
    """Resident memory by process, after the warm-up calls have ended."""
    mb: Mapping[str, float]
    steal_pct: float
    """CPU steal: share of the busy time that the host gave to other machines."""

    @property
    def clean(self) -> bool:
        return (
            self.answered == self.calls
            and self.uplink.count > 0 < self.downlink.count
            and not any(self.faults.values())
        )


def run_calls(
    bridge: Bridge, shape: Shape, calls: int, seconds: float, folder: Path, extra: Environment | None = None
) -> Run:
    """Raises `StackError`, `NoRedisError`, `WireError`."""
    with running(stack_of(bridge, calls, folder, merged({"voice-live": shape.voice_live}, extra or {}))) as stack:
        warm_up(stack)
        return _measure(stack, bridge, shape, calls, seconds)


def warm_up(stack: Stack) -> None:
    """Let the agent speak in marks, and place two calls for everything that is created by a first call."""
    call_json("PUT", f"{stack.url('voice-live')}/lab/agent", {"mode": "marks"})
    placed = place_calls(stack, _WARM_UP_NUMBERS)
    await_talking(stack, placed)
    time.sleep(_SETTLE_S)
    hang_up(stack, placed)
    time.sleep(_SETTLE_S)


def _measure(stack: Stack, bridge: Bridge, shape: Shape, calls: int, seconds: float) -> Run:
    rss_before = rss_bytes(stack)
    placed = place_calls(stack, range(1, calls + 1))
    answered = await_talking(stack, placed)
    time.sleep(_SETTLE_S)
    steal, began, cpu_before = psutil.cpu_times(), time.monotonic(), cpu_s(stack)
    time.sleep(seconds)
    ended, cpu_after, steal_after = time.monotonic(), cpu_s(stack), psutil.cpu_times()
    rss = rss_bytes(stack)
    hang_up(stack, placed)
    marks, window = collect(stack, placed), (began, ended - EDGE_S)
    ways = directions(marks, window)
    used_ms = {name: (cpu_after[name] - cpu_before[name]) * 1000 / (ended - began) for name in cpu_before}
    of_bridge = {name: round(ms / calls, 3) for name, ms in used_ms.items() if name not in SIMULATORS}
    return Run(
        bridge=bridge,
        shape=shape,
        calls=calls,
        answered=answered,
        cpu_ms=of_bridge,
        cpu_together_ms=round(sum(of_bridge.values()), 3),
        cpu_simulators_ms=round(sum(used_ms.values()) / calls - sum(of_bridge.values()), 3),
        busy_cores=round(sum(used_ms.values()) / 1000, 2),
        uplink=Delays.of(ms + call.uplink_shift_ms for call in marks for ms in directions([call], window)[0].delays_ms),
        downlink=Delays.of(_downlink_delays_ms(marks, bridge.lead_s, window)),
        resampler_ms=(max(c.uplink_shift_ms for c in marks), max(c.downlink_shift_ms for c in marks)),
        underruns=sum(underruns((t for _, _, t in call.downlink_heard), window) for call in marks),
        frames=sum(way.sent for way in ways),
        faults={
            name: sum(getattr(way, name) for way in ways) for name in ("lost", "repeated", "disordered", "foreign")
        },
        mb_before={name: round(rss_before[name] / MB, 2) for name in of_bridge},
        mb={name: round(rss[name] / MB, 2) for name in of_bridge},
        steal_pct=steal_pct(steal, steal_after),
    )


def _downlink_delays_ms(marks: Sequence[CallMarks], lead_s: float | None, window: Window) -> list[float]:
    delays: list[float] = []
    for call in marks:
        heard_at = {seq: t for number, seq, t in reversed(call.downlink_heard) if number == call.number}
        delays += [ms + call.downlink_shift_ms for ms in delays_ms(call.downlink_sent, heard_at, lead_s, window)]
    return delays


def steal_pct(before: object, after: object) -> float:
    """From two `psutil.cpu_times()`; 0 where the system does not report steal."""
    user, system, steal = (getattr(after, n, 0.0) - getattr(before, n, 0.0) for n in ("user", "system", "steal"))
    return float(round(100 * steal / (user + system + steal), 1)) if steal else 0.0
