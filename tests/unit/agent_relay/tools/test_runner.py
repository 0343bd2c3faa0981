"""A call of a function tool always returns an output."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from agent_relay.core.dialog.typed_digits import MASK, TypedDigits
from agent_relay.tools.runner import Tool, ToolCall, run_tool
from bridge_common.base.errors import GoneError, InputError
from tests.support.recorded_spans import Growth

OUTCOMES = ("done", "rejected", "failed")
CALL = ToolCall("key", "call", "{}")


async def test_a_tool_gets_its_call() -> None:
    async def echo(call: ToolCall) -> str:
        return f"got {call.arguments} of {call.call_id}"

    assert await run_tool({"echo": Tool(echo)}, "echo", CALL) == "got {} of call"


async def test_digits_of_the_caller_are_in_no_output() -> None:
    async def echo(call: ToolCall) -> str:
        assert call.typed is not None
        return f"paid with {call.typed.digits}"

    async def fault(_: ToolCall) -> str:
        raise GoneError("There is no card 4111 1111 1111 1111.")

    call = ToolCall("key", "call", "{}", TypedDigits("card_number", "4111111111111111"))
    tools = {"echo": Tool(echo), "fault": Tool(fault)}
    assert await run_tool(tools, "echo", call) == f"paid with {MASK}"
    assert json.loads(await run_tool(tools, "fault", call)) == {"error": f"There is no card {MASK}."}
    assert "4111" not in repr(call)


async def test_every_failure_is_an_answer() -> None:
    async def gone(_: ToolCall) -> str:
        raise GoneError("The order is gone.")

    async def broken(_: ToolCall) -> str:
        raise ZeroDivisionError

    async def endless(_: ToolCall) -> str:
        await asyncio.Event().wait()
        return ""

    async def wrong(_: ToolCall) -> str:
        raise InputError("The arguments are not valid.")

    async def right(_: ToolCall) -> str:
        return "{}"

    tools = {"gone": Tool(gone), "broken": Tool(broken), "endless": Tool(endless, limit_s=0.01), "wrong": Tool(wrong)}
    grown = Growth()
    answers = [json.loads(await run_tool(tools, name, CALL))["error"] for name in tools]
    assert answers == [
        *("The order is gone.", "The function failed.", "The function did not answer in time."),
        "The arguments are not valid.",
    ]
    await run_tool({"right": Tool(right)}, "right", CALL)
    counts = {outcome: grown(f'bridge_tool_calls_total{{outcome="{outcome}"}}') for outcome in OUTCOMES}
    assert counts == {"done": 1, "rejected": 1, "failed": 3}
    assert grown("bridge_tool_call_seconds_count") == 5
    assert grown("bridge_tool_call_seconds_sum") >= 0.01


async def test_a_broken_tool_is_logged_with_its_call(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: ToolCall) -> str:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        await run_tool({"broken": Tool(broken)}, "broken", CALL)
    [record] = caplog.records
    assert record.getMessage() == "tool failed"
    assert vars(record)["bridge_fields"] == {"call_id": "call", "tool": "broken"}
