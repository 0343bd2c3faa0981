"""The MCP servers of one session: their tools are listed after `session.update`, and called in responses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from lab.scenario import ScenarioMcpCall
from lab.voice_live import mcp_client
from lab.voice_live.agent_script import CallFunction, UseMcp
from lab.voice_live.answering import Answering
from lab.voice_live.injected_faults import McpFault
from lab.voice_live.record import SessionRecord
from lab.voice_live.server_events import Event, event, item_event, new_id
from lab.voice_live.simulated_response import COMPLETED, Response, arguments_of

Start: TypeAlias = Callable[[Coroutine[None, None, None]], None]


@dataclass(frozen=True)
class SessionMcpServer:
    """An `mcp` tool of the session."""

    label: str
    url: str
    headers: Mapping[str, str]
    rules: object
    """`require_approval`."""

    def asks(self, tool: str) -> bool:
        if isinstance(self.rules, Mapping):
            return tool not in (self.rules.get("never") or ())
        return self.rules != "never"


@dataclass
class McpCalls:
    record: SessionRecord
    answering: Answering
    fault: Callable[[], McpFault | None]
    send: Callable[[Iterable[Event]], Awaitable[None]]
    _servers: dict[str, SessionMcpServer] = field(default_factory=dict)
    _requests: dict[str, ScenarioMcpCall] = field(default_factory=dict)
    """Calls for which approval was requested, by the id of the request."""

    def follow(self, start: Start) -> None:
        """List the tools of new servers, and run the calls that the client has approved. Call it after each client
        event. `start`: runs a coroutine as long as the session.
        """
        found = {server.label: server for server in _servers(self.record.session.get("tools"))}
        for label in found.keys() - self._servers.keys():
            start(self._list(found[label]))
        self._servers = found
        for item in self.record.conversation.items if self._requests else ():
            call = self._requests.pop(item.call_id or "", None) if item.type == "mcp_approval_response" else None
            if call is not None and item.output == "true" and not self._takes("silent_approval"):
                start(self._run_approved(call))

    async def use(self, response: Response, plan: UseMcp) -> CallFunction | None:
        """Call the tool, or ask for approval. Return the function call that the client gets instead."""
        call = plan.call
        server = self._servers.get(call.server)
        if self._takes("function_call"):
            return CallFunction(call.name, arguments_of(call))
        if server is not None and server.asks(call.name) and not plan.approved:
            events = self.answering.open_mcp(response, "mcp_approval_request", call)
            if response.item is not None:
                self._requests[response.item.id] = call
            await self.send(events + self.answering.end(response, COMPLETED, time.monotonic()))
            return None
        await self.send(self.answering.open_mcp(response, "mcp_call", call))
        if after := self._takes("after_response"):
            await self.send(self.answering.end(response, COMPLETED, time.monotonic()))
        ok, output = False, f"there is no MCP server {call.server!r} in the session"
        if server is not None:
            ok, output = await mcp_client.call_tool(server.url, server.headers, call.name, call.arguments)
        await self.send(self.answering.end_mcp(response, time.monotonic(), ok=ok, output=output))
        if not after:
            await self.send(self.answering.end(response, COMPLETED, time.monotonic()))
        return None

    async def _run_approved(self, call: ScenarioMcpCall) -> None:
        while self.answering.active is not None:  # noqa: ASYNC110  # the response that asked ends soon
            await asyncio.sleep(0.01)
        plan, now = UseMcp(call, approved=True), time.monotonic()
        response = self.answering.begin_aside(now)
        await self.send([response.created()])
        await self.use(response, plan)

    async def _list(self, server: SessionMcpServer) -> None:
        item_id = new_id("mcpl")
        item: Event = {"id": item_id, "type": "mcp_list_tools", "server_label": server.label, "tools": []}
        await self.send([item_event("created", None, item), event("mcp_list_tools.in_progress", item_id=item_id)])
        failed = self._takes("list_failed") or await mcp_client.list_tools(server.url, server.headers) is None
        self.record.note(time.monotonic(), "mcp_tools", server=server.label, ok=not failed)
        await self.send([event(f"mcp_list_tools.{'failed' if failed else 'completed'}", item_id=item_id)])

    def _takes(self, form: str) -> bool:
        fault = self.fault()
        return fault is not None and fault.form == form and fault.take()


def _servers(tools: object) -> Iterator[SessionMcpServer]:
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, Mapping) and tool.get("type") == "mcp":
            given = tool.get("headers")
            headers = {str(name): str(value) for name, value in given.items()} if isinstance(given, Mapping) else {}
            if tool.get("authorization"):
                headers["Authorization"] = f"Bearer {tool['authorization']}"
            rules = tool.get("require_approval", "always")
            yield SessionMcpServer(str(tool.get("server_label")), str(tool.get("server_url")), headers, rules)
