"""The official MCP client, as the simulated service uses it: lists and calls the tools of a server."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from lab.simulator import log

TIMEOUT_S: Final = 100.0
"""Documented for the service."""


async def list_tools(url: str, headers: Mapping[str, str]) -> list[dict[str, object]] | None:
    """Return the tools as the service reports them; None if the server failed."""
    try:
        async with asyncio.timeout(TIMEOUT_S), _client(url, headers) as client:
            found = await client.list_tools()
    except Exception as error:  # the client raises groups of errors of its own and of the transport
        log.info("MCP tools could not be listed", extra={"error": repr(error)})
        return None
    return [{"name": one.name, "description": one.description, "input_schema": one.input_schema} for one in found.tools]


async def call_tool(
    url: str, headers: Mapping[str, str], name: str, arguments: Mapping[str, object]
) -> tuple[bool, str]:
    """Return whether the call succeeded, and the text of its result."""
    try:
        async with asyncio.timeout(TIMEOUT_S), _client(url, headers) as client:
            result = await client.call_tool(name, dict(arguments))
    except Exception as error:
        log.info("MCP tool failed", extra={"tool": name, "error": repr(error)})
        return False, "the tool failed"
    return not result.is_error, " ".join(str(getattr(part, "text", "")) for part in result.content)


async def load() -> None:
    """Load the package, which takes as long as the rest of the simulator: only if needed, beside the event loop."""
    await asyncio.to_thread(importlib.import_module, "mcp.client.streamable_http")


@asynccontextmanager
async def _client(url: str, headers: Mapping[str, str]) -> AsyncIterator[Any]:
    await load()
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx2.AsyncClient(headers=dict(headers), trust_env=False, timeout=TIMEOUT_S) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client
