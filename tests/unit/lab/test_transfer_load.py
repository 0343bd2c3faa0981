"""The verdict of the load test of transfers, on scripted answers of the simulators and services."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab import transfer_load
from lab.scenario import Scenario
from lab.scenario_checks import stack_mistakes
from lab.stack import Ports, Stack
from lab.stack_process import Process
from lab.transfer_load import STACK, measure_transfers, table

CALLS = 40


class Simulated:
    """Redirects three of four calls; the others alternate between the profiles."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.placed: list[dict[str, Any]] = []
        self.agents: list[str] = []
        self.open_transfer = False
        self.counted = 0
        self.still_connected = False
        monkeypatch.setattr(transfer_load, "call_json", self.answer)
        monkeypatch.setattr(transfer_load, "read_metrics", lambda *_: self.metrics())

    def metrics(self) -> dict[str, float]:
        done = {'bridge_transfers_total{mode="attended",outcome="done"}': 3.0 + self.counted * 3}
        busy = {'bridge_transfers_total{outcome="busy",mode="attended"}': float(self.counted * 2)}
        return done | busy | {'bridge_transfers_total{mode="blind",outcome="done"}': 7.0, "bridge_calls_total": 1.0}

    def answer(self, method: str, url: str, body: Any = None) -> Any:
        if method == "PUT":
            self.agents.append(url.rpartition("/")[2])
            return {}
        if method == "POST":
            self.placed.append(body)
            return {"id": f"lab_{len(self.placed)}"}
        if url.endswith("/actions"):
            number = int(url.split("call_")[1].split("/")[0])
            kind = ("done", "connected") if number % 8 == 1 and number < 24 else ("failed", "busy")
            state, reason = ("running", "") if self.open_transfer else kind
            row = {"action": "transfer", "state": state, "reason": reason, "arguments": {"target": "desk"}}
            return {"actions": [row] if number % 8 == 1 else []}
        if "/lab/calls" in url:
            self.counted = 1
            states = ["connected" if self.still_connected and n == 1 else "ended" for n in range(len(self.placed))]
            return {"calls": [{"id": f"lab_{n + 1}", "state": state} for n, state in enumerate(states)]}
        return {
            "calls": [
                {
                    "call_id": f"call_{n}",
                    "correlation_id": str(n),
                    "status": "ended",
                    "answered_ms": 1 if n % 4 == 1 else 0,
                    "profile": "connects" if n % 8 == 1 else "talks",
                }
                for n in range(len(self.placed))
            ]
        }


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Simulated:
    return Simulated(monkeypatch)


def stack() -> Stack:
    names = ("acs", "voice-live", "call-control")
    return Stack(Ports(), Path(), processes=[Process(name, 1, None) for name in names])


def test_every_outcome_is_counted_and_compared_with_the_metrics(simulated: Simulated) -> None:
    found = measure_transfers(stack(), CALLS, 100_000, ends_within_s=0.2)
    assert found.faults == ()
    assert found.states == Counter({"ended": CALLS})
    assert found.profiles == Counter({"connects": 5, "talks": 5})
    assert found.outcomes == Counter({"done connected": 3, "failed busy": 2})
    assert found.metrics == Counter({"done": 3, "busy": 2})
    assert sorted(simulated.agents) == ["gpt-4.1", "gpt-4o"]
    assert len({body["from"] for body in simulated.placed}) == CALLS
    assert {body["people"]["+14255559999"]["outcome"] for body in simulated.placed} >= {"answers", "busy", "no_answer"}
    text = table(found)
    assert "3  done connected" in text
    assert "bridge_transfers_total: done 3, busy 2" in text


def test_an_open_transfer_a_running_call_and_other_metrics_are_faults(simulated: Simulated) -> None:
    simulated.open_transfer = simulated.still_connected = True
    found = measure_transfers(stack(), CALLS + 8, 100_000, ends_within_s=0.2)
    assert "call lab_2 is connected" in found.faults
    assert "the transfer of call_1 is still running" in found.faults
    assert "bridge_transfers_total counts 5 transfers, the calls have 6" in found.faults


def test_the_stack_of_the_load_test_has_no_mistakes() -> None:
    assert list(stack_mistakes(Scenario.model_validate({"name": "x", "stack": STACK}), None, {})) == []
