"""Barge-in benchmark: time from `speech_started` on the voice socket to StopAudio on the media socket, while all calls
have audio.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from bench.bridges import Bridge, Shape
from bench.calls import warm_stack
from bench.downlink_delay import Window
from bench.figures import percentiles
from bench.runs import Figures, Labels, Options, Outcome, alternate
from lab.load import EDGE_S
from lab.traffic import await_talking, collect, hang_up, place_calls
from lab.wire import call_json

LIMITS: Final = {"barge-in p50, ms": 3.0, "barge-in p99, ms": 8.0}
_EVERY_S: Final = 2.0
"""Mean time between a caller's interruptions."""
_LONGEST_S: Final = 0.4
"""Maximum delay of a barge-in. A later StopAudio belongs to another interruption: the agent has started
to speak again.
"""


def measure(options: Options) -> Outcome:
    def run(labels: Labels, bridge: Bridge) -> Figures:
        return _run(bridge, int(labels["calls"]), options)

    cases = [{"calls": calls} for calls in options.calls]
    return Outcome("Barge-in to StopAudio", *alternate(options.runs, cases, run), limits=LIMITS)


def _run(bridge: Bridge, calls: int, options: Options) -> Figures:
    environment = {"voice-live": {**Shape.DELTAS.voice_live, "MARKS_INTERRUPT_S": str(_EVERY_S)}}
    with warm_stack(bridge, calls, options.folder, environment) as stack:
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
    delays = [ms for ms in found if ms is not None]
    return {**percentiles("barge-in", delays), "barge-ins": len(found), "missed": len(found) - len(delays)}


def stop_delays_ms(interrupted_at: Sequence[float], stopped_at: Sequence[float], window: Window) -> list[float | None]:
    """Return the delays of one call's barge-ins within the window; None where no StopAudio followed. Times are
    monotonic seconds, in order.
    """
    found: list[float | None] = []
    for t in interrupted_at:
        if window[0] <= t <= window[1]:
            stop = next((at for at in stopped_at if at >= t), None)
            found.append((stop - t) * 1000 if stop is not None and stop - t <= _LONGEST_S else None)
    return found
