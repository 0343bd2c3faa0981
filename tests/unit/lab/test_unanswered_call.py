"""The report of `lab call` on a call that a routing policy redirects or rejects."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.metric_checks import MetricsBefore
from lab.observed_call import ObservedCall
from lab.scenario_file import load_scenario
from lab.stack import Ports, Stack
from lab.unanswered_call import outcome_of, unchecked
from lab.wire import Json

RECORD = {
    "call_id": "call_1",
    "status": "ended",
    "end_reason": "redirected",
    "correlation_id": "c-1",
    "route": {"rule": "rest", "reason": "redirect"},
}


class DivertedCall(ObservedCall):
    """A call that was redirected, as its phone reports it."""

    def poll(self) -> None:
        timeline = [
            {"t": 1.0, "event": "incoming_call_sent"},
            {"t": 1.1, "event": "redirected", "target": "+14255550999"},
        ]
        self.phone = {
            "state": "redirected",
            "redirected_to": "4:+14255550999",
            "correlation_id": "c-1",
            "call_connection_id": None,
            "timeline": timeline,
        }

    def transcript(self, call_id: str) -> list[Json]:
        return []


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> ObservedCall:
    monkeypatch.setattr("lab.observed_call.call_json", lambda *_: {"calls": [{"correlation_id": "other"}, RECORD]})
    monkeypatch.setattr(Stack, "url", lambda *_: "http://127.0.0.1:1")
    call = DivertedCall(Stack(Ports(), Path()), "1", frozenset())
    call.poll()
    return call


def test_the_record_of_a_call_without_a_connection_is_found(call: ObservedCall) -> None:
    assert call.record() == RECORD


def test_the_target_and_the_rule_are_named(call: ObservedCall) -> None:
    told = outcome_of(call, RECORD)
    assert told.startswith("The call was redirected to +14255550999 (rule rest: redirect; end reason redirected), ")
    assert told.endswith("so there is no recording.")


@pytest.mark.parametrize(
    ("phone", "record", "told"),
    [
        ({"state": "rejected"}, {**RECORD, "end_reason": "rejected"}, "was rejected (rule rest: redirect; end reason"),
        ({"state": "rejected"}, {}, "was rejected (call-control has no record of the call)"),
        (
            {"state": "unanswered"},
            {"end_reason": ""},
            "ended without an answer (unanswered) (end reason none yet)",
        ),
    ],
)
def test_a_call_that_nobody_answered_has_its_reason(phone: Json, record: Json, told: str, call: ObservedCall) -> None:
    call.phone = phone
    assert told in outcome_of(call, record)


def test_an_answered_call_has_no_outcome(call: ObservedCall) -> None:
    call.phone = {"state": "ended", "timeline": [{"t": 1.0, "event": "answered"}]}
    assert outcome_of(call, RECORD) == ""


def test_lab_call_ends_with_1_and_lists_what_was_not_checked(
    call: ObservedCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lab import demo

    monkeypatch.setattr(demo, "place_call", lambda *_: call)
    monkeypatch.setattr(MetricsBefore, "read", lambda stack: MetricsBefore({}, lambda service: {}))
    scenario = load_scenario(demo.DEFAULT_SCENARIO)
    assert demo.run_call(call.stack, scenario, tmp_path, play=False) == 1
    told = capsys.readouterr().err
    assert "The call was redirected to +14255550999 (rule rest" in told
    claims = unchecked(call, scenario)
    assert len(claims) > 8
    assert f"{len(claims)} checks could not run: answered; " in told
    assert "404" not in told
