"""Benchmark of concurrent calls through this bridge and the reference bridge: CPU, delay, memory and frame counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Final

from bench.bridges import SIMULATORS, Bridge, Environment, Shape, stack_of
from bench.downlink_delay import Window, delays_ms, underruns
from bench.figures import percentiles
from bench.runs import Figures, Labels, Options, Outcome, alternate
from lab.load import EDGE_S
from lab.stack import Stack, running
from lab.traffic import CallMarks, await_talking, collect, cpu_s, directions, hang_up, place_calls, rss_bytes
from lab.wire import call_json

MB: Final = 2**20
CPU: Final = "CPU, ms/s/call"
LIMITS: Final = {
    CPU: 1.0,
    **{f"{way} {share}, ms": ms for way in ("uplink", "downlink") for share, ms in (("p50", 3.0), ("p99", 6.0))},
}
"""Allowed CPU ratio and delay differences to the reference bridge. The delay is that of Redis, the resampler and the
clock of the playout.
"""
_NOTES: Final = (
    "Delay: written on one socket to arrived on the other. Downlink: frames that need not wait in the playout.",
    "Frames at fault: lost, repeated, out of order or heard in another call. Underruns: the caller's audio ran dry.",
)
_WARM_UP_NUMBERS: Final = (60_000, 60_001)
_SETTLE_S: Final = 1.0
_FAULTS: Final = ("lost", "repeated", "disordered", "foreign")

RunCalls = Callable[[Bridge, Shape, int, float, Path], Figures]


@contextmanager
def warm_stack(bridge: Bridge, calls: int, folder: Path, environment: Environment) -> Iterator[Stack]:
    with running(stack_of(bridge, calls, folder, environment)) as stack:
        warm_up(stack)
        yield stack


def warm_up(stack: Stack) -> None:
    """Make the agent send marks, and place two calls, so that everything that the first call creates exists already."""
    call_json("PUT", f"{stack.url('voice-live')}/lab/agent", {"mode": "marks"})
    placed = place_calls(stack, _WARM_UP_NUMBERS)
    await_talking(stack, placed)
    time.sleep(_SETTLE_S)
    hang_up(stack, placed)
    time.sleep(_SETTLE_S)


def run_calls(bridge: Bridge, shape: Shape, calls: int, seconds: float, folder: Path) -> Figures:
    """Measure concurrent calls. Raises `StackError`, `NoRedisError`, `WireError`."""
    with warm_stack(bridge, calls, folder, {"voice-live": shape.voice_live}) as stack:
        placed = place_calls(stack, range(1, calls + 1))
        answered = await_talking(stack, placed)
        time.sleep(_SETTLE_S)
        began, cpu_before = time.monotonic(), cpu_s(stack)
        time.sleep(seconds)
        ended, cpu_after, rss = time.monotonic(), cpu_s(stack), rss_bytes(stack)
        hang_up(stack, placed)
        marks, window = collect(stack, placed), (began, ended - EDGE_S)
    per_call = 1000 / (ended - began) / calls
    used_ms = {n: (s - cpu_before[n]) * per_call for n, s in cpu_after.items() if n not in SIMULATORS}
    up, down = directions(marks, window)
    uplink_ms = [ms + call.uplink_shift_ms for call in marks for ms in directions([call], window)[0].delays_ms]
    return {
        CPU: sum(used_ms.values()),
        **percentiles("uplink", uplink_ms),
        **percentiles("downlink", _downlink_delays_ms(marks, bridge.lead_s, window)),
        "resamplers' part of uplink, ms": max(call.uplink_shift_ms for call in marks),
        "resamplers' part of downlink, ms": max(call.downlink_shift_ms for call in marks),
        "underruns": sum(underruns((t for _, _, t in call.downlink_heard), window) for call in marks),
        "frames": up.sent + down.sent,
        "frames at fault": sum(getattr(way, fault) for way in (up, down) for fault in _FAULTS),
        "calls not answered": calls - answered,
        **{f"CPU of {name}, ms/s/call": ms for name, ms in used_ms.items()},
        **{f"memory of {name}, MB": rss[name] / MB for name in used_ms},
    }


def measure(options: Options, run_calls: RunCalls = run_calls) -> Outcome:
    def run(labels: Labels, bridge: Bridge) -> Figures:
        return run_calls(bridge, Shape(str(labels["shape"])), int(labels["calls"]), options.seconds, options.folder)

    cases: list[Labels] = [{"calls": calls, "shape": str(shape)} for calls, shape in product(options.calls, Shape)]
    return Outcome("Calls", *alternate(options.runs, cases, run), _NOTES, LIMITS)


def clean(figures: Figures) -> bool:
    """Whether every call was answered and every frame arrived once and in order."""
    return figures["frames"] > 0 and not figures["frames at fault"] and not figures["calls not answered"]


def _downlink_delays_ms(marks: Sequence[CallMarks], lead_s: float | None, window: Window) -> list[float]:
    delays: list[float] = []
    for call in marks:
        heard_at = {seq: t for number, seq, t in reversed(call.downlink_heard) if number == call.number}
        delays += [ms + call.downlink_shift_ms for ms in delays_ms(call.downlink_sent, heard_at, lead_s, window)]
    return delays
