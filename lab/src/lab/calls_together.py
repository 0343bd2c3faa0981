"""Runs several scenarios with the same stack at the same time, one call each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from lab.call_checks import CallCheck
from lab.call_report import CallReport, report_on
from lab.observed_call import FINISHED, ObservedCall, place_call
from lab.scenario import Scenario
from lab.stack import Stack, StackError
from lab.story import place_other
from lab.wire import call_json, rows

_OPENED_WITHIN_S: Final = 20.0
_ENDED_WITHIN_S: Final = 75.0


def run_together(
    stack: Stack,
    scenarios: Sequence[Scenario],
    out: Path,
    meanwhile: Callable[[Scenario, ObservedCall], None] | None = None,
) -> list[CallReport]:
    """Place all calls, wait until they have ended, and check them. Metrics are not compared. `meanwhile` is called
    repeatedly for every call. Raises `StackError`, `WireError`.

    The agent script of a call is that of its voice session, which takes the latest script when it is opened. So each
    call is placed when the session of the previous one is open.
    """
    calls = [_placed(stack, scenario) for scenario in sorted(scenarios, key=lambda one: one.expect.rings_s or 0.0)]
    endless = _await_end(stack, calls, meanwhile)
    return [_report(call, scenario, out, endless=call.lab_id in endless) for scenario, call in calls]


def _report(call: ObservedCall, scenario: Scenario, out: Path, *, endless: bool) -> CallReport:
    report = report_on(_observed(call), scenario, out)
    if not endless:
        return report
    check = CallCheck("the call ends by itself", False, f"it was hung up after {_ENDED_WITHIN_S:.0f} s")
    return replace(report, checks=(*report.checks, check))


def _placed(stack: Stack, scenario: Scenario) -> tuple[Scenario, ObservedCall]:
    for other in scenario.other_calls:
        place_other(stack, other)
    call = place_call(stack, scenario)
    call.own_sessions = set()
    deadline = time.monotonic() + _OPENED_WITHIN_S
    while not _opened(call):
        if time.monotonic() > deadline:
            raise StackError(f"the call of “{scenario.name}” got no voice session; logs: {stack.folder}")
        time.sleep(0.05)
    return scenario, call


def _opened(call: ObservedCall) -> bool:
    """Whether the call has a voice session, or needs none any more."""
    call.poll()
    return bool(_observed(call).own_sessions) or call.finished or bool(call.times("phone", "answered"))


def _observed(call: ObservedCall) -> ObservedCall:
    """Add the voice session that the record names to those of the call."""
    session_id = str(call.record().get("voice_session_id") or "")
    if session_id and call.own_sessions is not None:
        call.own_sessions.add(session_id)
    return call


def _await_end(
    stack: Stack,
    calls: Sequence[tuple[Scenario, ObservedCall]],
    meanwhile: Callable[[Scenario, ObservedCall], None] | None,
) -> set[str]:
    """Return the calls that did not end in time. They are hung up."""
    waiting, deadline = {call.lab_id for _, call in calls}, time.monotonic() + _ENDED_WITHIN_S
    while waiting:
        found = rows(call_json("GET", f"{stack.url('acs')}/lab/calls"))
        waiting -= {row["id"] for row in found if row["state"] in FINISHED}
        if waiting and time.monotonic() > deadline:
            for lab_id in waiting:
                call_json("POST", f"{stack.url('acs')}/lab/calls/{lab_id}/hangup", {})
            return waiting
        if stack.dead():
            raise StackError(f"{stack.dead()[0].name} exited during the calls:\n{stack.dead()[0].log_tail()}")
        for scenario, call in calls if meanwhile is not None else ():
            if call.lab_id in waiting and meanwhile is not None:
                meanwhile(scenario, call)
        time.sleep(0.2)
    return waiting
