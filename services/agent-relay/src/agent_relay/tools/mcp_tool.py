"""Runs a tool of an MCP server over streamable HTTP, with the egress rules of all tools.

Voice Live calls these tools itself. Sometimes it sends such a call to the client as a function call; then the relay
runs it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from agent_relay.core.protocol.mcp_profile import McpServer
from agent_relay.core.protocol.tool_profile import header_value
from agent_relay.tools.arguments import decode_arguments
from agent_relay.tools.http_tool import UNREACHABLE
from agent_relay.tools.runner import ToolCall
from bridge_common.base.errors import InputError, OutsideError
from bridge_common.base.log import fields

log = logging.getLogger(__name__)

PROTOCOL_VERSION: Final = "2025-06-18"
LIMIT_S: Final = 10.0
_MAX_BYTES: Final = 256 * 1024
_MAX_CHARS: Final = 4_000
_NO_TEXT: Final = "The server of the function reported an error without a text."


class McpToolRunner:
    def __init__(self, server: McpServer, tool: str, http: aiohttp.ClientSession, secrets: Mapping[str, str]) -> None:
        self._server = server
        self._tool = tool
        self._http = http
        self._headers = {name: header_value(content, secrets) for name, content in server.headers.items()}
        if server.authorization is not None:
            self._headers["Authorization"] = f"Bearer {header_value(server.authorization, secrets)}"

    async def run(self, call: ToolCall) -> str:
        """Return the result as text. Raises `InputError` or `OutsideError`, with a message for the model."""
        if not self._server.may_run(self._tool):
            raise InputError("This function is not approved for this call. Continue the conversation without it.")
        arguments = decode_arguments(call.arguments)
        try:
            async with asyncio.timeout(LIMIT_S):
                return _text_of(await self._call(arguments))
        except (aiohttp.ClientError, OSError, ValueError, RecursionError) as error:  # TimeoutError is an OSError
            log.warning("MCP tool failed", extra=fields(call_id=call.call_id, tool=self._tool, error=repr(error)))
            raise OutsideError(UNREACHABLE, retry=False) from error

    async def _call(self, arguments: object) -> dict[str, Any]:
        about = {
            "protocolVersion": PROTOCOL_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "agent-relay", "version": "1"},
        }
        headers = {"Accept": "application/json, text/event-stream", **self._headers}
        _, session_id = await self._post({"id": 1, "method": "initialize", "params": about}, headers)
        headers |= {"MCP-Protocol-Version": PROTOCOL_VERSION} | ({"Mcp-Session-Id": session_id} if session_id else {})
        await self._post({"method": "notifications/initialized"}, headers)
        params = {"name": self._tool, "arguments": arguments}
        answer, _ = await self._post({"id": 2, "method": "tools/call", "params": params}, headers)
        result = answer.get("result")
        if not isinstance(result, dict):
            raise ValueError("the response has no result")
        return result

    async def _post(self, message: Mapping[str, object], headers: Mapping[str, str]) -> tuple[dict[str, Any], str]:
        """Return the response, {} to a notification, and the id of the MCP session. Raises `ValueError`."""
        body = {"jsonrpc": "2.0", **message}
        async with self._http.post(self._server.url, json=body, headers=headers, allow_redirects=False) as reply:
            if not 200 <= reply.status < 300:
                raise ValueError(f"HTTP status {reply.status}")
            session_id = reply.headers.get("Mcp-Session-Id", "")
            if "id" not in message:
                return {}, session_id
            if reply.content_type == "text/event-stream":
                return await _from_stream(reply.content, message["id"]), session_id
            return _object(await reply.content.read(_MAX_BYTES)), session_id


async def _from_stream(content: aiohttp.StreamReader, id_: object) -> dict[str, Any]:
    """Return the response with this id; requests and notifications of the server before it are ignored."""
    data: list[bytes] = []
    async for line in content:
        if line.startswith(b"data:"):
            data.append(line[5:].strip())
        elif not line.strip() and data:
            message, data = _object(b"\n".join(data)), []
            if message.get("id") == id_ and "method" not in message:
                return message
    raise ValueError("the stream ended without a response")


def _object(text: bytes) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("the response is not a JSON object")
    return found


def _text_of(result: Mapping[str, Any]) -> str:
    content = result.get("content")
    parts = (
        [str(part.get("text", "")) for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    )
    text = "\n".join(part for part in parts if part)[:_MAX_CHARS]
    return json.dumps({"error": text or _NO_TEXT}) if result.get("isError") else text or "{}"
