"""Set-up times and the CPU of a call's start and end: short calls arrive one by one at ten a second.

Answer: from the IncomingCall request to the answer request at ACS. Sound: from the open media socket to the first audio
on it. The simulated Voice Live replies without delay. Our relay asks for a greeting; the reference bridge does not, so
its agent speaks as soon as its session is ready.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple
from statistics import fmean
from typing import Final

from bench.bridges import OUR_PROCESSES, Bridge, Environment, stack_of
from bench.call_run import warm_up
from bench.figures import Delays, spread
from bench.report import Cell, Options, Outcome, Table, progress
from lab.stack import Stack, running
from lab.traffic import cpu_s, place_call
from lab.wire import Json, WireError, call_json

PER_SECOND: Final = 10.0
HOLD_S: Final = 1.25
"""Mean length of a call."""
_HOLD_SPREAD_S: Final = 0.5
_GOLDEN: Final = 0.618034
_CONCURRENT: Final = 40
_END_S: Final = 2.0
"""Until the last calls have ended in all processes."""
_ENVIRONMENT: Final[Environment] = {
    "acs": {"MEDIA_OPEN_DELAY_S": "0.05"},
    "voice-live": {"SESSION_SETUP_S": "0", "REPLY_DELAY_S": "0"},
    "agent-relay": {"GREETING_DELAY_MS": "0"},
}
_STEPS: Final = ("incoming_call_sent", "answered", "media_open", "call_connected", "media_closed")


def measure(options: Options) -> Outcome:
    calls: dict[Bridge, list[Json]] = {bridge: [] for bridge in Bridge}
    cpu_ms: dict[str, list[float]] = {name: [] for name in OUR_PROCESSES}
    start_s: list[float] = []
    count = max(10, int(PER_SECOND * options.seconds))
    for bridge in list(Bridge) * options.runs:
        began = time.monotonic()
        with running(stack_of(bridge, _CONCURRENT, options.folder, _ENVIRONMENT)) as stack:
            if bridge is Bridge.OURS:
                start_s.append(time.monotonic() - began)
            warm_up(stack)
            if bridge is Bridge.OURS:
                call_json("PUT", f"{stack.url('voice-live')}/lab/agent", {"mode": "script"})
            before = cpu_s(stack)
            calls[bridge] += arrivals(stack, count, "silence" if bridge is Bridge.OURS else "marks")
            after = cpu_s(stack)
        for name in OUR_PROCESSES if bridge is Bridge.OURS else ():
            if name in after:
                cpu_ms[name].append((after[name] - before[name]) * 1000 / count)
        progress(f"{bridge}: {count} calls")
    return outcome(calls, cpu_ms, start_s)


def outcome(
    calls: Mapping[Bridge, Sequence[Json]], cpu_ms: Mapping[str, Sequence[float]], start_s: Sequence[float]
) -> Outcome:
    """`calls` as the simulated ACS saw them; CPU ms per call, and seconds until the whole stack was ready, by run."""
    answers = {bridge: [answer_ms(call) for call in some] for bridge, some in calls.items()}
    sounds = {bridge: [sound_ms(call) for call in some] for bridge, some in calls.items()}
    figures: dict[str, object] = {"cpu_ms_per_call": {name: fmean(ms) for name, ms in cpu_ms.items() if ms}}
    rows: list[list[Cell]] = []
    for name, found in (("answer", answers), ("sound", sounds)):
        for bridge, values in found.items():
            delays = Delays.of(ms for ms in values if ms is not None)
            rows.append([f"{name}, {bridge}", *astuple(delays), len(values) - delays.count])
            figures[f"{name}, {bridge}"] = asdict(delays) | {"calls": len(values)}
    failed = [f"{bridge}: {last_step(c)}" for bridge, some in calls.items() for c in some if sound_ms(c) is None]
    notes = [f"Milliseconds, {PER_SECOND:.0f} calls a second. Our whole stack was ready after {spread(start_s)} s."]
    notes += [f"{failed.count(step)} calls without sound; last step, {step}" for step in sorted(set(failed))]
    note = f"Answer, about {HOLD_S} s of audio, hang-up; includes what a process uses without calls."
    times = Table("Set-up times", ["", "calls", "p50", "p95", "p99", "max", "missing"], rows, notes)
    cpu_rows = [[name, spread(ms)] for name, ms in cpu_ms.items()]
    return Outcome([times, Table("CPU of a short call", ["", "ms per call"], cpu_rows, [note])], figures)


def arrivals(stack: Stack, count: int, audio: str) -> list[Json]:
    """Place the calls at even distances and hang up; the simulated ACS's view of each call afterwards."""
    acs = stack.url("acs")

    def one(number: int) -> str:
        lab_id = place_call(acs, number, audio)
        time.sleep(hold_s(number))
        with contextlib.suppress(WireError):  # over already: it was not answered
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
    """Length of a call: the same in each run, and spread so that no call ends just when another one rings."""
    return HOLD_S + _HOLD_SPREAD_S * (number * _GOLDEN % 1.0 - 0.5)


def answer_ms(call: Json) -> float | None:
    rang, answered = first_at(call, "incoming_call_sent"), first_at(call, "answered")
    return (answered - rang) * 1000 if rang is not None and answered is not None else None


def sound_ms(call: Json) -> float | None:
    opened, first = first_at(call, "media_open"), call.get("first_audio_at")
    return (first - opened) * 1000 if opened is not None and first is not None else None


def first_at(call: Json, name: str) -> float | None:
    """Monotonic seconds of the first event of this name on the call's timeline."""
    return next((float(event["t"]) for event in call["timeline"] if event["event"] == name), None)


def last_step(call: Json) -> str:
    """How far a call got before it was hung up."""
    seen = {str(event["event"]) for event in call["timeline"]}
    return next((name for name in reversed(_STEPS) if name in seen), "none")
