"""The metrics of the services must match the events of a call."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.metric_checks import MetricsBefore, expected, parse_metrics
from lab.observed_call import ObservedCall
from lab.stack import Ports, Stack
from lab.wire import Json

TRANSCRIPT: list[Json] = [
    {"what": "greeting", "detail": "…"},
    {"role": "agent", "text": "Hello.", "first_delta_ms": -1, "first_frame_ms": -1},
    {"role": "caller", "text": "What?", "first_delta_ms": -1, "first_frame_ms": -1},
    {"role": "agent", "text": "We", "first_delta_ms": 250, "first_frame_ms": 0},
]
EVENTS = ("answered", "media_open", "stop_audio")


@pytest.fixture
def call(tmp_path: Path) -> ObservedCall:
    call = ObservedCall(Stack(Ports(), tmp_path), "1", frozenset())
    call.phone = {"timeline": [{"event": event, "t": 1.0} for event in EVENTS]}
    return call


def test_samples_are_read_with_their_labels() -> None:
    text = """# HELP bridge_calls_total Calls
# TYPE bridge_calls_total counter
bridge_calls_total{status="ended"} 3.0
bridge_active_calls 1.0
bridge_gap_seconds_bucket{direction="in",le="+Inf"} 2.0
"""
    assert parse_metrics(text) == {
        'bridge_calls_total{status="ended"}': 3,
        "bridge_active_calls": 1,
        'bridge_gap_seconds_bucket{direction="in",le="+Inf"}': 2,
    }


def test_the_right_figures_pass_and_each_wrong_one_is_named(call: ObservedCall) -> None:
    wanted = expected(call, TRANSCRIPT)
    assert wanted["agent-relay"]['bridge_relay_turns_total{role="agent"}'] == 2
    assert wanted["agent-relay"]["bridge_relay_first_frame_seconds_count"] == 1
    now = {service: {name: 5.0 + value for name, value in wanted[service].items()} for service in wanted}
    earlier = {service: dict.fromkeys(wanted[service], 5.0) for service in wanted}
    before = MetricsBefore(earlier, lambda service: now[service], settle_s=0.0)
    checks = list(before.checks(call, TRANSCRIPT))
    assert [check.holds for check in checks] == [True] * 3
    assert "turns agent 2" in checks[2].figure
    for service, figures in wanted.items():
        for name in figures:
            now[service][name] += 1
            broken = [check for check in before.checks(call, TRANSCRIPT) if not check.holds]
            now[service][name] -= 1
            assert [check.claim for check in broken] == [f"/metrics of {service} match"]
            assert name in broken[0].figure


def test_other_active_calls_disable_the_checks(call: ObservedCall) -> None:
    before = MetricsBefore({"agent-relay": {"bridge_active_calls": 1.0}}, lambda _: {})
    assert before.other_calls
    assert list(before.checks(call, TRANSCRIPT)) == []
