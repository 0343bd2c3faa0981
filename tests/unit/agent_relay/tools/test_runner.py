from __future__ import annotations

import asyncio
import json

from agent_relay.tools import runner as tools
from bridge_common.base.errors import GoneError


async def test_a_tool_gets_its_arguments() -> None:
    async def echo(arguments: str) -> str:
        return f"got {arguments}"

    assert await tools.run_tool({"echo": echo}, "echo", "{}") == "got {}"


async def test_every_failure_is_an_output() -> None:
    async def gone(_: str) -> str:
        raise GoneError("The order is gone.")

    async def broken(_: str) -> str:
        raise ZeroDivisionError

    async def endless(_: str) -> str:
        await asyncio.Event().wait()
        return ""

    every = {"gone": gone, "broken": broken, "endless": endless}
    answers = [json.loads(await tools.run_tool(every, name, "{}", timeout_s=0.01))["error"] for name in every]
    assert answers == ["The order is gone.", "The function failed.", "The function did not answer in time."]
