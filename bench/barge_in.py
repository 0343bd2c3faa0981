"""Barge-in: from `speech_started` on the voice socket to StopAudio on the media socket, while all calls talk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, astuple
from typing import Final

from bench.bridges import Bridge, Shape, stack_of
from bench.call_run import warm_up
from bench.downlink_delay import Window
from bench.figures import Delays
from bench.report import Cell, Options, Outcome, Table, progress
from lab.load import EDGE_S
from lab.stack import running
from lab.traffic import await_talking, collect, hang_up, place_calls
from lab.wire import call_json

_EVERY_S: Final = 2.0
"""Mean time between a caller's interruptions."""
_LONGEST_S: Final = 0.4
"""A later StopAudio belongs to another interruption: the agent has started to talk again."""


def measure(options: Options) -> Outcome:
    found: dict[Bridge, list[float | None]] = {bridge: [] for bridge in Bridge}
    for bridge in list(Bridge) * options.runs:
        found[bridge] += _run(bridge, max(options.calls), options)
        progress(f"{bridge}: {len(found[bridge])} barge-ins")
    delays = {bridge: Delays.of(ms for ms in all_ms if ms is not None) for bridge, all_ms in found.items()}
    rows: list[list[Cell]] = [[str(bridge), *astuple(one), found[bridge].count(None)] for bridge, one in delays.items()]
    figures = {str(bridge): asdict(one) | {"missed": found[bridge].count(None)} for bridge, one in delays.items()}
    title = f"Barge-in, {max(options.calls)} calls: speech_started to StopAudio, ms"
    return Outcome([Table(title, ["", "barge-ins", "p50", "p95", "p99", "max", "missed"], rows)], figures)


def _run(bridge: Bridge, calls: int, options: Options) -> list[float | None]:
    extra = {"voice-live": {**Shape.DELTAS.voice_live, "MARKS_INTERRUPT_S": str(_EVERY_S)}}
    with running(stack_of(bridge, calls, options.folder, extra)) as stack:
        warm_up(stack)
        placed = place_calls(stack, range(1, calls + 1))
        await_talking(stack, placed)
        began = time.monotonic()
        time.sleep(options.seconds)
        window = (began, time.monotonic() - EDGE_S)
        hang_up(stack, placed)
        found: list[float | None] = []
        for marks in collect(stack, placed):
            call = call_json("GET", f"{stack.url('acs')}/lab/calls/{marks.lab_id}")
            stops = [float(event["t"]) for event in call["timeline"] if event["event"] == "stop_audio"]
            found += stop_delays_ms(marks.interrupted_at, stops, window)
        return found


def stop_delays_ms(interrupted_at: Sequence[float], stopped_at: Sequence[float], window: Window) -> list[float | None]:
    """One call's barge-ins within the window; None where no StopAudio followed. Monotonic seconds, in order."""
    found: list[float | None] = []
    for t in interrupted_at:
        if window[0] <= t <= window[1]:
            stop = next((at for at in stopped_at if at >= t), None)
            found.append((stop - t) * 1000 if stop is not None and stop - t <= _LONGEST_S else None)
    return found
