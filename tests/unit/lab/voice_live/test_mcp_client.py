"""`tests/unit/lab/test_business_mcp.py` shows the client with a server that works."""

from __future__ import annotations

from lab.ports import free_port
from lab.voice_live import mcp_client


async def test_a_server_that_is_gone_has_no_tools_and_fails() -> None:
    url = f"http://127.0.0.1:{free_port()}/mcp"
    assert await mcp_client.list_tools(url, {}) is None
    assert await mcp_client.call_tool(url, {}, "order_state", {}) == (False, "the tool failed")
