"""The MCP server of the simulated business (streamable HTTP, stateless), built with the official package."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.types import Receive, Scope, Send

TOOLS: Final[Mapping[str, str]] = {
    "order_state": "Returns the state of an order.",
    "cancel_order": "Cancels an order.",
}
_SCHEMA: Final = {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]}


class BusinessMcp:
    """An ASGI application. `work`: executes a tool with its arguments and returns the text of the result, and whether
    it is an error. `stop` ends the server.
    """

    def __init__(self, work: Callable[[str, Mapping[str, object]], Awaitable[tuple[str, bool]]]) -> None:
        self._work = work
        self._serving: asyncio.Task[None] | None = None
        self._manager: asyncio.Future[Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        manager = await self.started()
        await manager.asgi_app(scope, receive, send)

    async def started(self) -> Any:
        """Start the server if it is not running. Return its session manager."""
        if self._manager is None:
            self._manager = asyncio.get_running_loop().create_future()
            self._serving = asyncio.create_task(self._serve(self._manager))
        return await asyncio.shield(self._manager)

    def stop(self) -> None:
        if self._serving is not None:
            self._serving.cancel()

    async def _serve(self, started: asyncio.Future[Any]) -> None:
        # The package takes as long to load as the rest of the simulator: only if needed, and beside the event loop.
        await asyncio.to_thread(importlib.import_module, "mcp.server.streamable_http_manager")
        import mcp_types as types
        from mcp.server import Server
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        async def list_tools(_: object, __: object) -> types.ListToolsResult:
            tools = [types.Tool(name=name, description=TOOLS[name], input_schema=_SCHEMA) for name in TOOLS]
            return types.ListToolsResult(tools=tools)

        async def call_tool(_: object, params: types.CallToolRequestParams) -> types.CallToolResult:
            text, failed = await self._work(params.name, params.arguments or {})
            return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=failed)

        server: Server[Any] = Server("contoso", on_list_tools=list_tools, on_call_tool=call_tool)
        manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True)
        async with manager.run():
            started.set_result(manager)
            await asyncio.get_running_loop().create_future()
