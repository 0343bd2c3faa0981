"""The order in which calls are placed on a shared stack. tests/e2e runs real calls together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import calls_together
from lab.call_report import CallReport
from lab.calls_together import run_together
from lab.observed_call import ObservedCall
from lab.scenario import Scenario
from lab.stack import Ports, Stack, StackError
from lab.stack_process import Process
from lab.wire import Json

STACK = Stack(Ports(), Path(), processes=[Process("acs", 1, None)])


class Line:
    """Simulates the services for calls that get a voice session at the third look at them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.did: list[str] = []
        self.looks: dict[str, int] = {}
        self.states: dict[str, list[str]] = {}
        monkeypatch.setattr(calls_together, "place_call", self.place)
        monkeypatch.setattr(calls_together, "place_other", lambda _, other: self.did.append(f"other {other.to}"))
        monkeypatch.setattr(calls_together, "call_json", self.list)
        monkeypatch.setattr(calls_together, "report_on", self.report)

    def place(self, stack: Stack, scenario: Scenario) -> ObservedCall:
        self.did.append(f"place {scenario.name}")
        line = self

        class Call(ObservedCall):
            def poll(self) -> None:
                line.looks[self.lab_id] = line.looks.get(self.lab_id, 0) + 1

            def record(self) -> Json:
                opened = line.looks[self.lab_id] >= 3
                if opened and f"open {self.lab_id}" not in line.did:
                    line.did.append(f"open {self.lab_id}")
                return {"voice_session_id": f"sess_{self.lab_id}" if opened else ""}

        return Call(stack, scenario.name, frozenset())

    def list(self, *_: Any) -> Json:
        rows = [
            {"id": lab_id, "state": states.pop(0) if len(states) > 1 else states[0]}
            for lab_id, states in self.states.items()
        ]
        return {"calls": rows}

    def report(self, call: ObservedCall, scenario: Scenario, out: Path) -> CallReport:
        self.did.append(f"report {scenario.name} {sorted(call.own_sessions or ())}")
        return CallReport(scenario, {}, ())


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(monkeypatch)


def test_each_call_is_placed_when_the_session_of_the_previous_one_is_open(line: Line) -> None:
    line.states = {"a": ["connected", "ended"], "b": ["ended"]}
    waits = Scenario.model_validate({"name": "b", "expect": {"rings_s": 1}, "other_calls": [{"to": "+18005550101"}]})
    seen: list[str] = []
    reports = run_together(STACK, [waits, Scenario(name="a")], Path("out"), lambda one, _: seen.append(one.name))
    assert line.did == [
        "place a",
        "open a",
        "other +18005550101",
        "place b",
        "open b",
        "report a ['sess_a']",
        "report b ['sess_b']",
    ]
    assert [one.scenario.name for one in reports] == ["a", "b"]
    assert seen == ["a"], "the other call had ended already"


def test_a_process_that_exits_ends_the_run(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.states = {"a": ["connected"]}
    monkeypatch.setattr(Stack, "dead", lambda _: [Process("agent-relay", 1, None)])
    with pytest.raises(StackError, match="agent-relay exited during the calls"):
        run_together(STACK, [Scenario(name="a")], Path("out"))
