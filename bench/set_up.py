"""How fast a call gets going: from IncomingCall to the answer request, and from the open media socket to the greeting.

Calls come at ten a second, one by one, and hang up after one to one and a half seconds. No two after the same time:
were all as long, each call would hang up in the very moment when another one rings.

**Answer**: from the IncomingCall request to the answer request at ACS, less the set-up of the voice session as the
voice service sees it (from its handshake to `session.updated`), as far as it fell between the two: a session that was
kept warm is no part of it. The time of the webhook's own answer counts.

**Greeting**: from the upgrade of the media socket to the first audio on it. The voice session is ready by then (that
is when a call is answered), the voice service begins to speak at once (`REPLY_DELAY_S=0`), and the greeting does not
wait for the line (`GREETING_DELAY_MS=0`). What the voice service takes from `response.created` to its first delta is in
the figure, and told beside it.

Of both, calls that began while the cores were slowed from outside, or so shortly before that they were under way, are
left out (`core_speed`); the figure of all is told beside it.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Final, TypeAlias

from bench.bridges import Bridge, Environment, stack_of
from bench.core_speed import Slowed, SpeedWatch
from bench.interference import AGAIN, least_disturbed_whole
from bench.spread import Delays
from bench.table import Cell, Table
from bench.whole import Options, Outcome, progress
from lab.stack import Stack, running
from lab.traffic import place_call, rows
from lab.wire import Json, WireError, call_json

PER_SECOND: Final = 10.0
HOLD_S: Final = 1.25
"""In the mean."""
_SPREAD_S: Final = 0.5
_GOLDEN: Final = 0.618034
_AT_ONCE: Final = 40
_END_S: Final = 2.0
"""Until everything of the last calls is over."""
_ACS: Final = {"MEDIA_OPEN_DELAY_S": "0.05"}

UNDER_WAY_S: Final = 0.1
"""A call that began so shortly before the cores were slowed may have been under way."""

Seen: TypeAlias = tuple[dict[int, Json], list[Json], Slowed]
"""What the simulators know afterwards, calls by their numbers and voice sessions; and when the cores were slowed."""


def measure_answer(options: Options) -> Outcome:
    calls, sessions, out = least_disturbed_whole(partial(_answered, options))
    set_up = session_set_up(sessions)
    spans = {number: span for number, call in calls.items() if (span := times(call, "incoming_call_sent", "answered"))}
    gross = {number: (span[1] - span[0]) * 1000 for number, span in spans.items()}
    within = {number: overlap_s(span, set_up[number]) * 1000 for number, span in spans.items() if number in set_up}
    net = {number: gross[number] - ms for number, ms in within.items()}
    kept = {number for number in net if not out.within(spans[number][0], UNDER_WAY_S)}
    table = [
        _row("IncomingCall to answer request, without the session's set-up", _of(net, kept)),
        _row("the same with it", _of(gross, kept)),
        _row("the session's set-up, as far as it fell between the two", _of(within, kept)),
        _row("IncomingCall to answer request, without the session's set-up, of all time", list(net.values())),
    ]
    notes = _notes(calls, [number for number in calls if number not in within], "answered")
    figures = _figures("answer", len(calls), _of(net, kept), list(net.values()))
    return Outcome([Table("Answering", _COLUMNS, table, notes)], figures)


def _answered(options: Options) -> Seen:
    extra = {"voice-live": {"SESSION_SETUP_S": "0"}, "acs": _ACS}
    with running(stack_of(Bridge.OURS, _AT_ONCE, options.folder, extra)) as stack:
        call_json("PUT", f"{stack.url('voice-live')}/lab/agent", {"mode": "marks"})
        with SpeedWatch() as watch:
            calls = arrivals(stack, _count(options), audio="marks")
        return calls, _sessions(stack), watch.slowed


def measure_greeting(options: Options) -> Outcome:
    calls, sessions, out = least_disturbed_whole(partial(_greeted, options))
    greeted = {number: s * 1000 for number, call in calls.items() if (s := greeting_s(call)) is not None}
    kept = {number for number in greeted if not out.within(media_opened(calls[number]) or 0.0, UNDER_WAY_S)}
    voice = [s * 1000 for session in sessions if (s := reply_s(session)) is not None]
    table = [
        _row("media socket open to the greeting's first frame", _of(greeted, kept)),
        _row("the same of all time", list(greeted.values())),
        _row("of which the simulated voice service", voice),
    ]
    notes = _notes(calls, [number for number in calls if number not in greeted], "greeted")
    figures = _figures("greeting", len(calls), _of(greeted, kept), list(greeted.values()))
    return Outcome([Table("Greeting", _COLUMNS, table, notes)], figures)


def _greeted(options: Options) -> Seen:
    extra: Environment = {
        "voice-live": {"REPLY_DELAY_S": "0"},
        "agent-relay": {"GREETING_DELAY_MS": "0"},
        "acs": _ACS,
    }
    with running(stack_of(Bridge.OURS, _AT_ONCE, options.folder, extra)) as stack:
        call_json("PUT", f"{stack.url('voice-live')}/lab/agent", {"mode": "script"})
        arrivals(stack, 3, audio="silence", first_number=60_000)
        known = {session["id"] for session in rows(call_json("GET", f"{stack.url('voice-live')}/lab/sessions"))}
        with SpeedWatch() as watch:
            calls = arrivals(stack, _count(options), audio="silence")
        return calls, [session for session in _sessions(stack) if session["id"] not in known], watch.slowed


_COLUMNS: Final = ["", "calls", "p50", "p95", "p99", "most"]


def _count(options: Options) -> int:
    return max(10, int(PER_SECOND * options.seconds * options.runs))


def _of(values_ms: Mapping[int, float], kept: Iterable[int]) -> list[float]:
    return [values_ms[number] for number in kept]


def _figures(name: str, calls: int, kept_ms: Sequence[float], all_ms: Sequence[float]) -> dict[str, object]:
    delays, all_time = Delays.of(kept_ms), Delays.of(all_ms)
    progress(
        f"{name}: {all_time.count} of {calls} calls, p99 of {delays.count} {delays.p99:.1f} ms "
        f"(of all time {all_time.p99:.1f})"
    )
    return {"calls": calls, **asdict(delays), "all_time": asdict(all_time)}


def _row(name: str, values_ms: Sequence[float]) -> list[Cell]:
    delays = Delays.of(values_ms)
    return [name, delays.count, delays.p50, delays.p95, delays.p99, delays.most]


def _notes(calls: Mapping[int, Json], missing: Sequence[int], done: str) -> list[str]:
    """Calls without a figure are told with how far they came: a figure of those that went well alone would flatter."""
    notes = [
        f"Milliseconds, {len(calls)} calls at {PER_SECOND:.0f} a second. {AGAIN}",
        "Not of all time: calls that began on cores slowed from outside are left out (bench/core_speed.py).",
    ]
    if missing:
        ends = Counter(f"{calls[number]['state']} after {furthest(calls[number])}" for number in missing)
        told = ", ".join(f"{count} {end}" for end, count in ends.most_common())
        notes.append(f"{len(missing)} NOT {done} before they hung up and not in the figures: {told}.")
    return notes


_MILESTONES: Final = ("incoming_call_sent", "answered", "media_open", "call_connected", "media_closed")


def furthest(call: Json) -> str:
    """The last thing that a call came to before it was hung up."""
    seen = {str(event["event"]) for event in call["timeline"]}
    return next((name for name in reversed(_MILESTONES) if name in seen), "nothing")


def arrivals(stack: Stack, count: int, *, audio: str, first_number: int = 1) -> dict[int, Json]:
    """Let so many callers dial, evenly spaced, and hang up; what the simulated ACS knows of each call afterwards."""
    acs = stack.url("acs")

    def one(number: int) -> str:
        lab_id = place_call(acs, number, audio)
        time.sleep(hold_s(number))
        with contextlib.suppress(WireError):  # over already: it was not answered
            call_json("POST", f"{acs}/lab/calls/{lab_id}/hangup", {})
        return lab_id

    began = time.monotonic()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        placed = {}
        for index in range(count):
            time.sleep(max(0.0, began + index / PER_SECOND - time.monotonic()))
            placed[first_number + index] = pool.submit(one, first_number + index)
    time.sleep(_END_S)
    return {number: call_json("GET", f"{acs}/lab/calls/{future.result()}") for number, future in placed.items()}


def hold_s(number: int) -> float:
    """How long a caller stays: spread evenly, and the same in each run."""
    return HOLD_S + _SPREAD_S * (number * _GOLDEN % 1.0 - 0.5)


def _sessions(stack: Stack) -> list[Json]:
    voice = stack.url("voice-live")
    return [
        call_json("GET", f"{voice}/lab/sessions/{row['id']}") for row in rows(call_json("GET", f"{voice}/lab/sessions"))
    ]


Span = tuple[float, float]
"""Beginning and end, monotonic seconds."""


def times(row: Mapping[str, object], first: str, second: str) -> Span | None:
    """When each of two events first was on a simulator's timeline."""
    timeline = row.get("timeline")
    found: dict[str, float] = {}
    for event in timeline if isinstance(timeline, list) else []:
        found.setdefault(str(event["event"]), float(event["t"]))
    return (found[first], found[second]) if first in found and second in found else None


def overlap_s(one: Span, other: Span) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def session_set_up(sessions: Sequence[Json]) -> dict[int, Span]:
    """Call number → from the handshake to `session.updated`, of sessions that heard a call's marks."""
    found: dict[int, Span] = {}
    for session in sessions:
        number = next((event["call"] for event in session["timeline"] if event["event"] == "marks_heard"), None)
        span = times(session, "connected", "session_updated")
        if number is not None and span is not None:
            found[int(number)] = span
    return found


def media_opened(call: Json) -> float | None:
    """Monotonic seconds."""
    return next((float(event["t"]) for event in call["timeline"] if event["event"] == "media_open"), None)


def greeting_s(call: Json) -> float | None:
    opened, first = media_opened(call), call.get("first_audio_at")
    return first - opened if opened is not None and first is not None else None


def reply_s(session: Json) -> float | None:
    span = times(session, "response_created", "first_delta")
    return span[1] - span[0] if span else None
