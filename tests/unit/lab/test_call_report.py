"""Reports on calls that were not answered, and how a report is printed. tests/e2e has reports on real calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.call_checks import CallCheck
from lab.call_report import CallReport, report_on
from lab.observed_call import ObservedCall
from lab.scenario import Scenario
from lab.stack import Ports, Stack
from lab.wire import Json


class RejectedCall(ObservedCall):
    def record(self) -> Json:
        route = {"rule": "ON_BEHALF_REJECT_REASON", "reason": "not answered"}
        return {"call_id": "call_1", "status": "ended", "end_reason": "on_behalf_of_callee", "route": route}

    def transcript(self, call_id: str) -> list[Json]:
        return []

    def poll(self) -> None:
        pass


def report(expect: dict[str, Any]) -> CallReport:
    call = RejectedCall(Stack(Ports(), Path()), "lab", frozenset())
    call.phone = {"state": "rejected", "timeline": []}
    return report_on(call, Scenario.model_validate({"name": "x", "expect": expect}), Path("out"))


def test_an_unanswered_call_fails_unless_it_is_expected() -> None:
    found = report({})
    assert not found.passed
    assert found.lines()[0].startswith("The call was rejected (rule ON_BEHALF_REJECT_REASON: not answered")
    assert "checks could not run" in found.lines()[0]


@pytest.mark.parametrize(
    ("expect", "passed"),
    [
        ({"state": "rejected", "end_reason": "on_behalf_of_callee"}, True),
        ({"state": "rejected", "end_reason": "caller_hung_up"}, False),
        ({"state": "redirected"}, False),
    ],
)
def test_the_state_and_the_end_reason_of_an_unanswered_call_are_checked(expect: dict[str, Any], passed: bool) -> None:
    found = report(expect)
    assert found.passed is passed
    assert len(found.checks) == len(expect)
    assert found.lines()[0].startswith("  ok " if found.checks[0].holds else "  NOT")


def test_a_report_shows_transcript_recording_and_checks(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("  agent: Hello.\n", encoding="utf-8")
    checks = (CallCheck("answered", True, "after 0.1 s"), CallCheck("ended", False, "connected"))
    found = CallReport(Scenario(name="x"), {}, checks, "", tmp_path / "x.txt", tmp_path / "x.wav", 2.5)
    assert [one.claim for one in found.broken] == ["ended"]
    text = "\n".join(found.lines())
    assert "agent: Hello." in text
    assert "caller left, agent right, 2.5 s" in text
    assert "  ok   answered: after 0.1 s" in text
    assert "  NOT  ended: connected" in text
