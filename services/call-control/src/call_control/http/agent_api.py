"""`/agent`: actions for tools of Foundry agents, as an OpenAPI tool and as an MCP server (docs/agent-tools.md)."""

from __future__ import annotations

import asyncio
import json
import logging
from importlib.metadata import version
from typing import Any, Final

import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from bridge_common.base.errors import BridgeError
from bridge_common.wire.agent_tools import AGENT_TOOLS
from bridge_common.wire.json_object import decode_object
from call_control.agent_actions import AgentActions
from call_control.core.agent_requests import CALL_ARGUMENT, Answer
from call_control.http.agent_guard import AgentGuard
from call_control.http.agent_openapi import agent_openapi
from call_control.http.error_responses import UnsupportedMediaError, read_body, with_error_replies

log = logging.getLogger(__name__)
logging.getLogger("mcp").setLevel(logging.WARNING)  # it logs each request and its own start and end

_MAX_BODY: Final = 16 * 1024
_MAX_MCP_BODY: Final = 64 * 1024
_AREA: Final = "agent tools"
_JSON: Final = "application/json"
"""Foundry's OpenAPI tools accept only this content type."""


class AgentApi:
    """The routes for agent tools. `run` must run in a background task: it serves the MCP requests."""

    def __init__(self, actions: AgentActions, guard: AgentGuard, base_url: str) -> None:
        self._actions = actions
        self._guard = guard
        self._base_url = base_url
        server: Server[Any] = Server(
            "calls", version=version("call-control"), on_list_tools=self._list_tools, on_call_tool=self._call_tool
        )
        # No DNS rebinding protection: browsers cannot send the token.
        self._mcp = StreamableHTTPSessionManager(server, json_response=True, stateless=True)

    def routes(self) -> list[BaseRoute]:
        async def admit(request: Request) -> Response:
            request.state.platform = await self._guard.platform(request)
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
                raise UnsupportedMediaError(f"unsupported content type; send {_JSON}")
            request.state.body = await read_body(request, _MAX_MCP_BODY)
            decode_object(request.state.body, "the body")
            return Response()

        return [
            Route("/agent/openapi.json", self.document, methods=["GET"]),
            Route("/agent/tools/{tool}", with_error_replies(self.act, _AREA, media_type=_JSON), methods=["POST"]),
            # Other methods open or end sessions, which a stateless server does not have.
            Route(
                "/agent/mcp",
                methods=["POST"],
                endpoint=_Admitted(with_error_replies(admit, _AREA, media_type=_JSON), self._mcp),
            ),
        ]

    async def run(self) -> None:
        """Serve MCP requests until canceled."""
        async with self._mcp.run():
            await asyncio.get_running_loop().create_future()

    async def document(self, _: Request) -> Response:
        return JSONResponse(agent_openapi(self._base_url))

    async def act(self, request: Request) -> Response:
        """Execute a tool call. A rejected action is also a 200, with a reason that the agent can speak."""
        platform = await self._guard.platform(request)
        arguments = decode_object(await read_body(request, _MAX_BODY), "the body")
        return JSONResponse(await self._actions.act(platform, request.path_params["tool"], arguments))

    async def _list_tools(
        self, _: ServerRequestContext[Any], __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        tools = [
            types.Tool(name=tool.name, description=tool.description, input_schema=tool.parameters(call=CALL_ARGUMENT))
            for tool in AGENT_TOOLS.values()
        ]
        return types.ListToolsResult(tools=tools)

    async def _call_tool(
        self, context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        assert context.request is not None
        platform = context.request.state.platform
        try:
            answer: Answer = await self._actions.act(platform, params.name, params.arguments or {})
        except BridgeError as error:
            answer = {"ok": False, "reason": error.message if error.code != "unavailable" else "Try again in a moment."}
        text = json.dumps(answer)
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content=answer)


class _Admitted:
    """The MCP endpoint: authenticates each request before it is handled."""

    def __init__(self, admit: Any, mcp: StreamableHTTPSessionManager) -> None:
        self._admit = admit
        self._mcp = mcp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})
        refusal = await self._admit(Request(scope, receive))
        if refusal.status_code != 200:
            await refusal(scope, receive, send)
            return
        unread = [scope["state"]["body"]]

        async def replay() -> Message:
            return {"type": "http.request", "body": unread.pop()} if unread else await receive()

        await self._mcp.asgi_app(scope, replay, send)
