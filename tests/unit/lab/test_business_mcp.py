"""The MCP server of the simulated business, with the official client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn

from lab.business import BusinessSettings, create_app
from lab.business_mcp import TOOLS
from lab.voice_live import mcp_client
from tests.support.lab_server import running


@pytest.fixture
async def address() -> AsyncIterator[str]:
    config = uvicorn.Config(create_app(BusinessSettings()), host="127.0.0.1", port=0, log_config=None)
    async with running(config) as address:
        yield f"http://{address}"


async def test_its_tools_are_listed_and_called(address: str) -> None:
    async with httpx.AsyncClient(base_url=address, timeout=30) as http:
        assert (await http.get("/lab/mcp")).json() == {"status": "ok"}
        listed = await mcp_client.list_tools(f"{address}/mcp", {})
        assert [tool["name"] for tool in listed or ()] == list(TOOLS)
        assert await mcp_client.call_tool(f"{address}/mcp", {}, "order_state", {"number": "43"}) == (
            True,
            '{"order": "43", "state": "being packed"}',
        )
        await http.put("/lab/faults", json={"failing": {"status": 503}})
        failed = await mcp_client.call_tool(f"{address}/mcp", {}, "order_state", {"number": "43"})
        assert failed == (False, "injected fault")
        requests = (await http.get("/lab/requests")).json()["requests"]
        assert [row["path"] for row in requests] == ["order_state", "order_state"]
