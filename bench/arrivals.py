"""What the beginning and the end of a call cost each process: many short calls, one after the other."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.bridges import Bridge, stack_of
from bench.call_run import warm_up
from bench.interference import AGAIN, least_disturbed_whole
from bench.set_up import HOLD_S, PER_SECOND, arrivals
from bench.table import Table
from bench.whole import Options, Outcome, progress
from lab.stack import running
from lab.traffic import cpu_s
from lab.wire import call_json

OURS: Final = ("call-control", "media-gateway", "agent-relay", "redis")
_AT_ONCE: Final = 40


def measure(options: Options) -> Outcome:
    count = max(20, int(PER_SECOND * options.seconds * options.runs))
    ms = least_disturbed_whole(partial(_spent_ms, options, count))
    progress(", ".join(f"{name} {spent} ms" for name, spent in ms.items()) + " for a call")
    note = (
        f"CPU ms for one call that is answered, carries audio for about {HOLD_S:.2f} s and is hung up; {count} calls "
        f"at {PER_SECOND:.0f} a second. What the processes do without calls is in it. {AGAIN}"
    )
    table = Table(
        "A call's beginning and end", ["", "ms for a call"], [[name, spent] for name, spent in ms.items()], (note,)
    )
    return Outcome([table], {"calls": count, "ms_per_call": ms})


def _spent_ms(options: Options, count: int) -> dict[str, float]:
    """CPU ms of each process for a call."""
    with running(stack_of(Bridge.OURS, _AT_ONCE, options.folder, {})) as stack:
        call_json("PUT", f"{stack.url('voice-live')}/lab/agent", {"mode": "marks"})
        warm_up(stack)
        before = cpu_s(stack)
        arrivals(stack, count, audio="marks")
        after = cpu_s(stack)
    return {name: round((after[name] - before[name]) * 1000 / count, 1) for name in OURS if name in before}
