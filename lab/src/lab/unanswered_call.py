"""A call that no agent answered: its outcome and the routing rule that caused it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lab.call_checks import CallCheck, check_call
from lab.heard_audio import Recording
from lab.metric_checks import SERVICES
from lab.observed_call import ObservedCall
from lab.scenario import Scenario
from lab.story import record_checks
from lab.wire import Json


def outcome_of(call: ObservedCall, record: Json) -> str:
    """Return the outcome as one sentence; empty for an answered call. `record`: from the operator API, empty if it has
    none.
    """
    if call.times("phone", "answered"):
        return ""
    state = str(call.phone.get("state"))
    what = {
        "redirected": f"was redirected to {str(call.phone.get('redirected_to')).removeprefix('4:')}",
        "rejected": "was rejected",
    }.get(state, f"ended without an answer ({call.phone.get('end_reason') or state})")
    return f"The call {what} ({_why(record)}), so there is no recording."


def _why(record: Json) -> str:
    if not record:
        return "call-control has no record of the call"
    route = record.get("route") or {}
    why = [f"rule {route['rule']}: {route['reason']}"] if route.get("rule") else []
    return "; ".join([*why, f"end reason {record.get('end_reason') or 'none yet'}"])


def expected_checks(call: ObservedCall, scenario: Scenario, record: Json) -> Iterator[CallCheck]:
    """Check a call that is expected not to be answered."""
    expected, state = scenario.expect, str(call.phone.get("state"))
    yield CallCheck(f"the call is {expected.state}", state == expected.state, state)
    yield from record_checks(scenario, record)


def unchecked(call: ObservedCall, scenario: Scenario) -> list[str]:
    """Return the names of the checks that are skipped because the call was not answered."""
    silence = Recording(16_000, np.zeros(0), np.zeros(0))
    metrics = [f"/metrics of {service} match" for service in SERVICES]
    return [check.claim for check in check_call(call, scenario, silence, [])] + metrics
