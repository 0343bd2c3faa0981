"""Tools of an MCP server that Voice Live calls: approvals, failures, and calls that reach the relay as function calls.
`test_stories` shows a slow one and an approved one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from lab.scenario import Agent, Reply, Scenario, ScenarioCaller, ScenarioMcpCall, ScenarioStep
from lab.stack import Stack
from lab.wire import call_json
from tests.support.acting_calls import MODEL_MODE, EndedCall, acting_stack, run_call, set_faults

PROFILES: Final = """
default:
  greeting: {text: Hello.}
  mcp_servers:
    - label: contoso
      url: BUSINESS/mcp
      allowed_tools: [order_state, cancel_order]
      require_approval: {order_state: never}
"""
ASK: Final = ScenarioStep(say="Please do it.")
ENDS: Final = ScenarioStep(wait_for="agent_ends", ms=500)
HANG_UP: Final = ScenarioStep(hang_up=True)


@pytest.fixture(scope="module")
def mcp_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with acting_stack(tmp_path_factory.mktemp("mcp"), PROFILES, relay=MODEL_MODE) as stack:
        call_json("GET", f"{stack.url('business')}/lab/mcp")
        yield stack
        assert [process.name for process in stack.dead()] == []


async def call_with(stack: Stack, name: str, form: str = "", *, number: str = "42", faults: Any = None) -> EndedCall:
    set_faults(stack, "business", faults or {})
    set_faults(stack, "voice-live", {"mcp": {"form": form, "times": 1}} if form else {})
    mcp = ScenarioMcpCall(server="contoso", name=name, arguments={"number": number})
    reply = Reply(heard="Please do it.", mcp=mcp)
    steps = (ENDS, ASK, ENDS, HANG_UP)
    return await run_call(
        stack, Scenario(name="mcp", caller=ScenarioCaller(steps=steps), agent=Agent(replies=(reply,)))
    )


@pytest.mark.timeout(90)
async def test_a_call_within_its_response_is_answered(mcp_stack: Stack) -> None:
    ended = await call_with(mcp_stack, "order_state")
    assert "on its way" in ended.agent_turns[-1]
    assert [row["ok"] for row in ended.call.voice["timeline"] if row["event"] == "mcp_tools"] == [True]


@pytest.mark.timeout(90)
async def test_a_call_that_needs_approval_is_refused_with_a_reason(mcp_stack: Stack) -> None:
    ended = await call_with(mcp_stack, "cancel_order")
    assert ended.agent_turns[-1] == "I am not allowed to do that."
    assert [row["detail"] for row in ended.transcript if row.get("what") == "mcp_approval"] == [
        "contoso.cancel_order: refused"
    ]
    assert not [row for row in ended.call.voice["timeline"] if row["event"] == "mcp_call"]


@pytest.mark.timeout(90)
async def test_a_failing_call_is_reported_by_the_agent(mcp_stack: Stack) -> None:
    ended = await call_with(mcp_stack, "order_state", faults={"failing": {"status": 503}})
    assert "injected fault" in ended.agent_turns[-1]


@pytest.mark.timeout(90)
async def test_a_call_that_comes_as_a_function_call_is_run_by_the_relay(mcp_stack: Stack) -> None:
    ended = await call_with(mcp_stack, "order_state", "function_call")
    assert "on its way" in ended.agent_turns[-1]
    [output] = [item for item in ended.call.voice["items"] if item["type"] == "function_call_output"]
    assert "on its way" in output["output"]


@pytest.mark.timeout(90)
async def test_the_call_goes_on_if_the_tools_cannot_be_listed(mcp_stack: Stack) -> None:
    ended = await call_with(mcp_stack, "order_state", "list_failed")
    assert [row["detail"] for row in ended.transcript if row.get("what") == "mcp_list_failed"] == ["contoso"]
    assert "on its way" in ended.agent_turns[-1]
