"""Set-up benchmark: set-up times, and the CPU of a call's start and end. Short calls arrive one by one at ten a second.

Answer: from the IncomingCall request to the answer request at ACS. Sound: from the open media socket to the first audio
on it. The simulated Voice Live replies without delay. This bridge requests a greeting; the reference bridge does not,
so its agent speaks as soon as its session is ready.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bench.bridges import SIMULATORS, Bridge, Environment, stack_of
from bench.calls import warm_up
from bench.figures import percentiles
from bench.runs import Figures, Labels, Options, Outcome, alternate
from lab.stack import Stack, running
from lab.traffic import cpu_s, place_call
from lab.wire import Json, WireError, call_json

PER_SECOND: Final = 10.0
HOLD_S: Final = 1.25
"""Mean length of a call."""
LIMITS: Final = {"answer p95, ms": 40.0, "sound p95, ms": 10.0}
"""Allowed differences to the reference bridge, which answers before it has a voice session and opens the session after
the media socket.
"""
_HOLD_SPREAD_S: Final = 0.5
_GOLDEN: Final = 0.618034
_CONCURRENT: Final = 40
_END_S: Final = 2.0
"""Time limit for the last calls to end in all processes."""
_ENVIRONMENT: Final[Environment] = {
    "acs": {"MEDIA_OPEN_DELAY_S": "0.05"},
    "voice-live": {"SESSION_SETUP_S": "0", "REPLY_DELAY_S": "0"},
    "agent-relay": {"GREETING_DELAY_MS": "0"},
}


def measure(options: Options) -> Outcome:
    def run(_: Labels, bridge: Bridge) -> Figures:
        began = time.monotonic()
        with running(stack_of(bridge, _CONCURRENT, options.folder, _ENVIRONMENT)) as stack:
            ready_s = time.monotonic() - began
            warm_up(stack)
            ours = bridge is Bridge.OURS
            if ours:
                call_json("PUT", f"{stack.url('voice-live')}/lab/agent", {"mode": "script"})
            count, before = max(10, int(PER_SECOND * options.seconds)), cpu_s(stack)
            calls = arrivals(stack, count, "silence" if ours else "marks")
            used_ms = {name: (s - before[name]) * 1000 / count for name, s in cpu_s(stack).items()}
        return figures_of(calls, used_ms) | {"start of all processes, s": ready_s}

    note = f"{PER_SECOND:.0f} calls a second, each about {HOLD_S} s. CPU includes what a process uses without calls."
    return Outcome("Set-up", *alternate(options.runs, [{}], run), [note], LIMITS)


def figures_of(calls: Sequence[Json], used_ms: Figures) -> dict[str, float]:
    """Return the figures of a run. `calls`: records of the simulated ACS; `used_ms`: CPU ms per call, by process."""
    answers, sounds = [answer_ms(call) for call in calls], [sound_ms(call) for call in calls]
    return {
        **percentiles("answer", [ms for ms in answers if ms is not None]),
        **percentiles("sound", [ms for ms in sounds if ms is not None]),
        "calls": len(calls),
        "calls not answered": answers.count(None),
        "calls without sound": sounds.count(None),
        **{f"CPU of {name}, ms/call": ms for name, ms in used_ms.items() if name not in SIMULATORS},
    }


def arrivals(stack: Stack, count: int, audio: str) -> list[Json]:
    """Place calls at even intervals and hang up. Return the simulated ACS's record of each call."""
    acs = stack.url("acs")

    def one(number: int) -> str:
        lab_id = place_call(acs, number, audio)
        time.sleep(hold_s(number))
        with contextlib.suppress(WireError):  # ended already: it was not answered
            call_json("POST", f"{acs}/lab/calls/{lab_id}/hangup", {})
        return lab_id

    began = time.monotonic()
    with ThreadPoolExecutor(_CONCURRENT) as pool:
        placed = []
        for index in range(count):
            time.sleep(max(0.0, began + index / PER_SECOND - time.monotonic()))
            placed.append(pool.submit(one, index + 1))
    time.sleep(_END_S)
    return [call_json("GET", f"{acs}/lab/calls/{future.result()}") for future in placed]


def hold_s(number: int) -> float:
    """Return the length of a call: the same in each run, and spread so that calls do not end exactly
    when others ring.
    """
    return HOLD_S + _HOLD_SPREAD_S * (number * _GOLDEN % 1.0 - 0.5)


def answer_ms(call: Json) -> float | None:
    rang, answered = first_at(call, "incoming_call_sent"), first_at(call, "answered")
    return (answered - rang) * 1000 if rang is not None and answered is not None else None


def sound_ms(call: Json) -> float | None:
    opened, first = first_at(call, "media_open"), call.get("first_audio_at")
    return (first - opened) * 1000 if opened is not None and first is not None else None


def first_at(call: Json, name: str) -> float | None:
    """Return monotonic seconds of the first event of this name on the call's timeline."""
    return next((float(event["t"]) for event in call["timeline"] if event["event"] == name), None)
