"""MCP tools that the relay runs itself, against a server that is built with the official package."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent_relay.core.protocol.mcp_profile import McpServer
from agent_relay.tools.egress import tool_session
from agent_relay.tools.mcp_tool import McpToolRunner
from agent_relay.tools.runner import ToolCall
from bridge_common.base.errors import InputError, OutsideError
from lab.business import BusinessSettings, create_app
from tests.support.lab_server import running

ASKS = ToolCall("key", "call", '{"number": "42"}')


@pytest.fixture
async def business() -> AsyncIterator[str]:
    config = uvicorn.Config(create_app(BusinessSettings()), host="127.0.0.1", port=0, log_config=None)
    async with running(config) as address:
        yield address


async def run(address: str, call: ToolCall = ASKS, tool: str = "order_state", **fields: Any) -> str:
    about = {"label": "shop", "url": f"http://{address}/mcp", "require_approval": {"order_state": "never"}, **fields}
    async with tool_session(["127.0.0.1"]) as http:
        server = McpServer.model_validate(about)
        return await McpToolRunner(server, tool, http, {"TOKEN": "t0ken"}).run(call)


async def test_a_tool_of_a_real_server_is_called(business: str) -> None:
    assert json.loads(await run(business)) == {"order": "42", "state": "on its way"}
    assert json.loads(await run(business, tool="cancel_order", approve=["cancel_order"]))["state"] == "canceled"


async def test_an_error_of_the_tool_is_for_the_model(business: str) -> None:
    assert json.loads(await run(business, ToolCall("key", "call", '{"number": "7"}')))["error"] == "there is no order 7"


async def test_a_tool_that_is_not_approved_is_not_called(business: str) -> None:
    with pytest.raises(InputError, match="not approved"):
        await run(business, tool="cancel_order")
    with pytest.raises(InputError, match="valid JSON"):
        await run(business, ToolCall("key", "call", "{"))


@pytest.mark.parametrize("form", ["status", "text", "no_result", "redirect"])
async def test_a_server_that_breaks_the_protocol_is_unavailable(form: str) -> None:
    async def answer(_: Request) -> Response:
        return {
            "status": Response(status_code=500),
            "text": Response("hello"),
            "no_result": JSONResponse({"jsonrpc": "2.0", "id": 1}),
            "redirect": Response(status_code=307, headers={"Location": "/elsewhere"}),
        }[form]

    app = Starlette(routes=[Route("/mcp", answer, methods=["POST"])])
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None)
    async with running(config) as address:
        with pytest.raises(OutsideError, match="not available now"):
            await run(address)


async def test_an_answer_as_an_event_stream_is_read_and_the_headers_are_sent() -> None:
    seen: list[tuple[str, str, str]] = []

    async def answer(request: Request) -> Response:
        message = await request.json()
        seen.append((message["method"], request.headers["authorization"], request.headers.get("mcp-session-id", "")))
        if "id" not in message:
            return Response(status_code=202)
        result = {"content": [{"type": "text", "text": "found"}, {"type": "text", "text": "two"}]}
        notice = json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}})
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})
        stream = f": comment\n\nevent: message\ndata: {notice}\n\nevent: message\ndata: {body}\n\n"
        return Response(stream, headers={"Mcp-Session-Id": "s1"}, media_type="text/event-stream")

    app = Starlette(routes=[Route("/mcp", answer, methods=["POST"])])
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None)
    async with running(config) as address:
        assert await run(address, authorization={"secret": "TOKEN"}) == "found\ntwo"
    assert seen == [
        ("initialize", "Bearer t0ken", ""),
        ("notifications/initialized", "Bearer t0ken", "s1"),
        ("tools/call", "Bearer t0ken", "s1"),
    ]
