"""The agent's tool calls in a demo: a refused or failed one that the scenario does not expect is a failure."""

from __future__ import annotations

from typing import Any

import pytest

from lab.scenario_outcome import ExpectedTool
from lab.tool_checks import ObservedToolCall, tool_checks, tool_uses
from lab.wire import Json

NOT_AVAILABLE = '{"error":"This function is not available."}'


def function(name: str, output: str | None, *, status: str = "completed", t: float = 1.0) -> Json:
    """A session with one function call."""
    call: Json = {"event": "function_call", "name": name, "call_id": f"c{t}", "status": status, "t": t}
    items = [] if output is None else [{"type": "function_call_output", "call_id": f"c{t}", "output": output}]
    return {"timeline": [call], "items": items}


def platform(name: str, status: int, answer: str, t: float = 1.0) -> Json:
    row = {"event": "agent_tool", "name": name, "via": "mcp", "status": status, "answer": answer, "t": t}
    return {"timeline": [row], "items": []}


def mcp(*, ok: bool) -> Json:
    row = {"event": "mcp_call", "name": "order_state", "ok": ok, "answer": "there is no order 7", "t": 1.0}
    return {"timeline": [row], "items": []}


def in_agent_mode(form: str) -> Json:
    return {"timeline": [{"event": "agent_function", "name": "end_call", "form": form, "t": 1.0}], "items": []}


@pytest.mark.parametrize(
    ("session", "outcome"),
    [
        (function("order_state", '{"order":"42"}'), "ok"),
        (function("order_state", "on its way"), "ok"),
        (function("order_state", ""), "ok"),
        (function("look_up", NOT_AVAILABLE), "failed"),
        (function("end_call", '{"ok": false, "reason": "reason is missing."}'), "failed"),
        (function("order_state", '{"error": 404, "detail": "there is no order 7"}'), "failed"),
        (function("order_state", None), "unanswered"),
        (platform("end_call", 200, '{"ok": true, "state": "accepted"}'), "ok"),
        (platform("end_call", 200, '{"ok": false, "reason": "No such call."}'), "failed"),
        (platform("end_call", 401, "the tool failed"), "failed"),
        (platform("end_call", 0, "the tool did not answer"), "failed"),
        (mcp(ok=True), "ok"),
        (mcp(ok=False), "failed"),
        (in_agent_mode("stalled"), "unanswered"),
        (in_agent_mode("failed"), "unanswered"),
    ],
)
def test_every_call_has_an_outcome(session: Json, outcome: str) -> None:
    assert [use.outcome for use in tool_uses([session])] == [outcome]
    [check] = tool_checks(None, [session])
    assert check.holds is (outcome == "ok")


def test_a_canceled_function_call_is_none() -> None:
    assert tool_uses([function("end_call", None, status="cancelled")]) == []
    assert list(tool_checks(None, [function("end_call", None, status="cancelled")])) == []


def test_an_output_may_be_in_a_later_session() -> None:
    first, second = function("order_state", None), function("other", "ok", t=0.5)
    second["items"].append({"type": "function_call_output", "call_id": "c1.0", "output": "late"})
    assert tool_uses([first, second]) == [
        ObservedToolCall("other", "ok", "ok"),
        ObservedToolCall("order_state", "ok", "late"),
    ]


SESSIONS = [
    function("order_state", "{}", t=1.0),
    function("order_state", "{}", t=2.0),
    function("look_up", NOT_AVAILABLE, t=3.0),
]
AS_EXPECTED: list[dict[str, Any]] = [{"name": "order_state", "times": 2}, {"name": "look_up", "outcome": "failed"}]


@pytest.mark.parametrize(
    ("expected", "holds"),
    [
        (AS_EXPECTED, True),
        (AS_EXPECTED[::-1], True),
        (AS_EXPECTED[:1], False),
        ([{"name": "order_state"}, *AS_EXPECTED[1:]], False),
        ([*AS_EXPECTED, {"name": "end_call"}], False),
        ([*AS_EXPECTED[:1], {"name": "look_up"}], False),
        ([], False),
    ],
)
def test_expected_calls_are_all_calls(expected: list[dict[str, Any]], holds: bool) -> None:
    [check] = tool_checks([ExpectedTool.model_validate(one) for one in expected], SESSIONS)
    assert check.holds is holds


def test_a_failure_names_the_tool_and_its_answer() -> None:
    [check] = tool_checks(None, SESSIONS)
    assert check.figure == f"look_up failed: {NOT_AVAILABLE}; if the scenario expects this, list it in `expect.tools`"
    [check] = tool_checks([], SESSIONS[2:])
    assert check.claim == "the agent's tool calls are none"
    assert check.figure == f"1 × look_up failed; look_up failed: {NOT_AVAILABLE}"


def test_a_function_call_of_an_agent_without_a_form_fails() -> None:
    """The stack of `lab call` may be in agent mode without the scenario's knowledge."""
    [check] = tool_checks(None, [in_agent_mode("")])
    assert not check.holds
    assert "`call` of end_call in agent mode" in check.figure
    assert "stack.faults.voice-live.agent_function" in check.figure
