"""One run of concurrent calls through one bridge: CPU, delay, memory and frame counts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from bench.bridges import SIMULATORS, Bridge, Environment, Shape, stack_of
from bench.downlink_delay import Window, delays_ms, underruns
from bench.figures import percentiles
from bench.runs import Figures
from lab.load import EDGE_S
from lab.stack import Stack, running
from lab.traffic import CallMarks, await_talking, collect, cpu_s, directions, hang_up, place_calls, rss_bytes
from lab.wire import call_json

MB: Final = 2**20
CPU: Final = "CPU, ms/s/call"
_WARM_UP_NUMBERS: Final = (60_000, 60_001)
_SETTLE_S: Final = 1.0
_FAULTS: Final = ("lost", "repeated", "disordered", "foreign")


@contextmanager
def warm_stack(bridge: Bridge, calls: int, folder: Path, environment: Environment) -> Iterator[Stack]:
    with running(stack_of(bridge, calls, folder, environment)) as stack:
        warm_up(stack)
        yield stack


def warm_up(stack: Stack) -> None:
    """Let the agent speak in marks, and place two calls for everything that is created by a first call."""
    call_json("PUT", f"{stack.url('voice-live')}/lab/agent", {"mode": "marks"})
    placed = place_calls(stack, _WARM_UP_NUMBERS)
    await_talking(stack, placed)
    time.sleep(_SETTLE_S)
    hang_up(stack, placed)
    time.sleep(_SETTLE_S)


def run_calls(bridge: Bridge, shape: Shape, calls: int, seconds: float, folder: Path) -> Figures:
    """Raises `StackError`, `NoRedisError`, `WireError`."""
    with warm_stack(bridge, calls, folder, {"voice-live": shape.voice_live}) as stack:
        rss_before = rss_bytes(stack)
        placed = place_calls(stack, range(1, calls + 1))
        answered = await_talking(stack, placed)
        time.sleep(_SETTLE_S)
        times_before, began, cpu_before = psutil.cpu_times(), time.monotonic(), cpu_s(stack)
        time.sleep(seconds)
        ended, cpu_after, times_after = time.monotonic(), cpu_s(stack), psutil.cpu_times()
        rss = rss_bytes(stack)
        hang_up(stack, placed)
        marks, window = collect(stack, placed), (began, ended - EDGE_S)
    per_call = 1000 / (ended - began) / calls
    used_ms = {name: (cpu_after[name] - cpu_before[name]) * per_call for name in cpu_before}
    processes = [name for name in used_ms if name not in SIMULATORS]
    grown_mb = {name: (rss[name] - rss_before[name]) / MB / calls for name in processes}
    up, down = directions(marks, window)
    uplink_ms = [ms + call.uplink_shift_ms for call in marks for ms in directions([call], window)[0].delays_ms]
    return {
        CPU: sum(used_ms[name] for name in processes),
        **percentiles("uplink", uplink_ms),
        **percentiles("downlink", _downlink_delays_ms(marks, bridge.lead_s, window)),
        "resamplers' part of uplink, ms": max(call.uplink_shift_ms for call in marks),
        "resamplers' part of downlink, ms": max(call.downlink_shift_ms for call in marks),
        "underruns": sum(underruns((t for _, _, t in call.downlink_heard), window) for call in marks),
        "frames": up.sent + down.sent,
        "frames at fault": sum(getattr(way, fault) for way in (up, down) for fault in _FAULTS),
        "calls not answered": calls - answered,
        "memory growth, MB/call": sum(grown_mb.values()),
        "CPU of the simulators, ms/s/call": sum(ms for name, ms in used_ms.items() if name in SIMULATORS),
        "CPU steal, %": steal_pct(times_before, times_after),
        **{f"CPU of {name}, ms/s/call": used_ms[name] for name in processes},
        **{f"memory of {name}, MB": rss[name] / MB for name in processes},
        **{f"memory growth of {name}, MB/call": grown_mb[name] for name in processes},
    }


def _downlink_delays_ms(marks: Sequence[CallMarks], lead_s: float | None, window: Window) -> list[float]:
    delays: list[float] = []
    for call in marks:
        heard_at = {seq: t for number, seq, t in reversed(call.downlink_heard) if number == call.number}
        delays += [ms + call.downlink_shift_ms for ms in delays_ms(call.downlink_sent, heard_at, lead_s, window)]
    return delays


def clean(figures: Figures) -> bool:
    """Every call was answered and every frame arrived once and in order."""
    return figures["frames"] > 0 and not figures["frames at fault"] and not figures["calls not answered"]


def steal_pct(before: Any, after: Any) -> float:
    """CPU steal between two `psutil.cpu_times()`: share of the busy time that the host gave to other machines."""
    user, system, steal = (getattr(after, n, 0.0) - getattr(before, n, 0.0) for n in ("user", "system", "steal"))
    return 100 * float(steal) / (user + system + steal) if steal else 0.0
