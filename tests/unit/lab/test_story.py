"""The stack of a scenario, and the checks of its outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lab import story
from lab.call_checks import CallCheck
from lab.heard_audio import Recording
from lab.observed_call import ObservedCall
from lab.scenario import Scenario
from lab.stack import PARTS, Ports, Stack, StackError
from lab.stack_process import Process
from lab.story import outcome_checks, place_other, stack_for

RATE_HZ = 16_000


def scenario(**parts: Any) -> Scenario:
    return Scenario.model_validate({"name": "x", **parts})


def test_a_scenario_without_a_stack_changes_nothing(tmp_path: Path) -> None:
    stack = stack_for(scenario(), tmp_path / "stack")
    assert dict(stack.extra) == {part: {} for part in PARTS}
    assert stack.parts == PARTS
    assert not (tmp_path / "stack").exists()


def test_the_profile_is_written_with_the_address_of_the_business(tmp_path: Path) -> None:
    wanted = {"model": "gpt-4.1", "profile": {"tools": [{"url": "BUSINESS/x"}]}, "settings": {"MAX_CALL_S": "9"}}
    stack = stack_for(scenario(stack=wanted), tmp_path)
    relay = stack.extra["agent-relay"]
    assert (relay["VOICE_LIVE_MODEL"], relay["AGENT_NAME"], relay["MAX_CALL_S"]) == ("gpt-4.1", "", "9")
    assert all(stack.extra[part] == {"MAX_CALL_S": "9"} for part in stack.parts if part != "agent-relay")
    assert stack.parts == (*PARTS, "business")
    profile = yaml.safe_load(Path(relay["AGENT_PROFILES_FILE"]).read_text(encoding="utf-8"))
    assert profile["default"]["tools"][0]["url"] == f"http://127.0.0.1:{stack.ports.business}/x"


def test_the_routing_policy_is_written_for_call_control(tmp_path: Path) -> None:
    policy = {"rules": [{"name": "all", "agent": "default", "wait": 5}]}
    control = stack_for(scenario(stack={"routing": policy}), tmp_path / "stack").extra["call-control"]
    assert yaml.safe_load(Path(control["ROUTING_POLICY"]).read_text(encoding="utf-8")) == policy


def test_other_calls_are_placed_and_connected_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    states = iter(["ringing", "connecting", "connected", "ended"])

    def call_json(method: str, url: str, *body: Any) -> dict[str, Any]:
        asked.append((method, url, *body))
        return {"id": "lab_1"} if method == "POST" else {"state": next(states)}

    monkeypatch.setattr(story, "call_json", call_json)
    [other] = scenario(
        other_calls=[{"number": "+14255550177", "to": "+18005550101", "hang_up_after_s": 2.5}]
    ).other_calls
    stack = Stack(Ports(), tmp_path, processes=[Process("acs", 8090, None)])
    place_other(stack, other)
    assert (asked[0][2]["from"], asked[0][2]["to"]) == ("+14255550177", "+18005550101")
    assert asked[0][2]["steps"] == [{"pause_ms": 2500}, {"hang_up": True}]
    assert [method for method, *_ in asked] == ["POST", "GET", "GET", "GET"]
    with pytest.raises(StackError, match="the call of \\+14255550177 is not connected but ended"):
        place_other(stack, other)


def test_a_model_in_the_settings_replaces_the_agent(tmp_path: Path) -> None:
    wanted = {
        "settings": {"VOICE_LIVE_MODEL": "gpt-4.1", "TOOL_PRIVATE_HOSTS": "10.0.0.1"},
        "profile": {"dtmf": "agent"},
    }
    relay = stack_for(scenario(stack=wanted), tmp_path).extra["agent-relay"]
    assert (relay["VOICE_LIVE_MODEL"], relay["AGENT_NAME"]) == ("gpt-4.1", "")
    assert relay["TOOL_PRIVATE_HOSTS"] == "10.0.0.1,127.0.0.1"


def test_several_profiles_are_written(tmp_path: Path) -> None:
    wanted = {"profile": {"language": "de"}, "profiles": {"night": {"tools": [{"url": "BUSINESS/x"}]}}}
    stack = stack_for(scenario(stack=wanted), tmp_path)
    written = yaml.safe_load(Path(stack.extra["agent-relay"]["AGENT_PROFILES_FILE"]).read_text(encoding="utf-8"))
    assert written["default"] == {"language": "de"}
    assert written["night"]["tools"][0]["url"] == f"http://127.0.0.1:{stack.ports.business}/x"
    assert "business" in stack.parts


def test_a_missing_sentence_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    [claim] = checks({"says": ["Bye.", "Hello"]}, monkeypatch)
    assert claim == "the agent says, in order: Bye. | Hello"
    assert figures({"says": ["Bye.", "Hello"]}, monkeypatch) == [
        "missing: “Hello”; the agent said: Hello there. | Bye."
    ]


def figures(expect: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return [check.figure for check in found_checks(expect, monkeypatch)]


def checks(expect: dict[str, Any], monkeypatch: pytest.MonkeyPatch, *, ended: float = 3.3) -> dict[str, bool]:
    return {check.claim: check.holds for check in found_checks(expect, monkeypatch, ended=ended)}


def found_checks(expect: dict[str, Any], monkeypatch: pytest.MonkeyPatch, *, ended: float = 3.3) -> list[CallCheck]:
    """The checks of a call whose agent is heard until 3.0 s."""
    stack = Stack(Ports(), Path("x"), processes=[Process("call-control", 8080, None)])
    timeline = [
        {"event": "incoming_call_sent", "t": -3.0},
        {"event": "answered", "t": -1.0},
        {"event": "media_open", "t": 0.0},
        {"event": "caller_says", "t": 0.5},
        {"event": "dtmf", "by": "agent", "tone": "1", "t": 1.0},
        {"event": "dtmf", "by": "caller", "tone": "9", "t": 1.0},
        {"event": "ended", "t": ended},
    ]
    items = [{"role": "user", "text": text} for text in ("[keypad] 42#", "Hello?", "[keypad] 7")]
    call = ObservedCall(stack, "lab_1", frozenset(), phone={"timeline": timeline}, voice={"items": items})
    agent = np.concatenate([np.full(3 * RATE_HZ, 5000.0), np.zeros(RATE_HZ // 4)])
    agent[RATE_HZ : RATE_HZ * 3 // 2] = 0  # half a second
    actions = {"actions": [{"action": "hang_up", "state": "done"}]}
    monkeypatch.setattr(story, "call_json", lambda *_: actions)
    transcript = [
        {"role": "agent", "text": "Hello there."},
        {"role": "caller", "text": "Bye."},
        {"role": "agent", "text": "Bye."},
    ]
    route = {"rule": "sales", "reason": "agent default"}
    record = {"call_id": "call_1", "end_reason": "hung_up_by_agent", "route": route}
    recording = Recording(RATE_HZ, agent * 0, agent)
    return list(outcome_checks(call, scenario(expect=expect), record, transcript, recording))


@pytest.mark.parametrize(
    ("expect", "holds"),
    [
        ({"end_reason": "hung_up_by_agent"}, True),
        ({"end_reason": "too_long"}, False),
        ({"actions": ["hang_up done"]}, True),
        ({"actions": []}, False),
        ({"says": ["Hello", "Bye."]}, True),
        ({"says": ["Bye.", "Hello"]}, False),
        ({"route": "sales: agent default"}, True),
        ({"route": "rest: agent default"}, False),
        ({"rings_s": 2}, True),
        ({"rings_s": 2.5}, False),
        ({"tones": "1"}, True),
        ({"tones": "9"}, False),
        ({"keys": ["42#", "7"]}, True),
        ({"keys": ["42#"]}, False),
        ({"longest_silence_s": 0.6}, True),
        ({"longest_silence_s": 0.4}, False),
        ({"silence_at_end_s": 0.5}, True),
        ({"silence_at_end_s": 0.2}, False),
    ],
)
def test_each_expectation_is_checked(expect: dict[str, Any], holds: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(checks(expect, monkeypatch).values()) == [holds]


def test_a_call_that_ends_before_the_last_word_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(checks({"silence_at_end_s": 0.5}, monkeypatch, ended=2.0).values()) == [False]
    assert checks({}, monkeypatch) == {}
