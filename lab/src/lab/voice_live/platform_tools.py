"""The tools of a Foundry agent, as its platform calls them: by MCP or as an HTTP API, with the key of a connection.

The call reference is in a system message of the conversation, and the model copies it into the argument `call`. The
fault `agent_tool` makes the platform or the model send a wrong request first.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from lab.scenario import ScenarioTool
from lab.simulator import log
from lab.voice_live.conversation_items import ConversationItems
from lab.voice_live.injected_faults import AgentToolFault
from lab.voice_live.record import SessionRecord

_REFERENCE: Final = re.compile(r"call reference:\s*([0-9a-z-]+)", re.IGNORECASE)
_TIMEOUT_S: Final = 30.0
_HELD_S: Final = 600.0
"""Longest time for which a request waits for the end of its call."""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """`status`: of the HTTP response, 0 without one. `text`: the result for the model."""

    status: int
    text: str

    @property
    def ok(self) -> bool:
        """Whether the model accepts the answer; otherwise it tries again."""
        if self.status != 200:
            return False
        try:
            answer = json.loads(self.text)
        except ValueError:
            return True
        return not (isinstance(answer, dict) and answer.get("ok") is False)


@dataclass
class PlatformTools:
    """`url`: of the API under which the tools are, such as `https://calls.example.com/agent`."""

    url: str
    key: str
    _running: set[asyncio.Task[str]] = field(default_factory=set)

    def use(
        self, tool: ScenarioTool, record: SessionRecord, fault: AgentToolFault | None, closed: asyncio.Event
    ) -> asyncio.Task[str]:
        """Return a task that yields the result for the model. It outlives the session, like a request of the platform.
        `closed`: set once the session is closed.
        """
        task = asyncio.create_task(self._use(tool, record, fault.form if fault else "", closed))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def stop(self) -> None:
        for task in self._running:
            task.cancel()

    async def _use(self, tool: ScenarioTool, record: SessionRecord, form: str, closed: asyncio.Event) -> str:
        if form == "after_end":
            async with asyncio.timeout(_HELD_S):
                await closed.wait()
        arguments = tool.arguments | with_reference(record.conversation, form)
        answer = await self._request(tool, arguments, record, key="" if form == "anonymous" else self.key)
        if form == "twice" or (form and not answer.ok and form != "after_end"):
            again = tool.arguments | with_reference(record.conversation, "")
            answer = await self._request(tool, again, record, key=self.key)
        return answer.text

    async def _request(
        self, tool: ScenarioTool, arguments: Mapping[str, object], record: SessionRecord, *, key: str
    ) -> ToolAnswer:
        call = self._by_mcp if tool.via == "mcp" else self._by_http
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                answer = await call(tool.name, arguments, key)
        except TimeoutError:
            answer = ToolAnswer(0, "the tool did not answer")
        record.note(
            time.monotonic(), "agent_tool", name=tool.name, via=tool.via, status=answer.status, answer=answer.text
        )
        return answer

    async def _by_http(self, name: str, arguments: Mapping[str, object], key: str) -> ToolAnswer:
        headers = {"X-Api-Key": key} if key else {}
        try:
            async with (
                aiohttp.ClientSession(trust_env=False) as http,
                http.post(f"{self.url}/tools/{name}", json=dict(arguments), headers=headers) as reply,
            ):
                return ToolAnswer(reply.status, await reply.text())
        except aiohttp.ClientError as error:
            return ToolAnswer(0, str(error))

    async def _by_mcp(self, name: str, arguments: Mapping[str, object], key: str) -> ToolAnswer:
        # The package takes as long to load as the rest of the simulator: only if needed, and beside the event loop.
        await asyncio.to_thread(importlib.import_module, "mcp.client.streamable_http")
        import httpx2
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client

        statuses: list[int] = []

        async def note(reply: httpx2.Response) -> None:
            statuses.append(reply.status_code)

        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            async with (
                httpx2.AsyncClient(
                    headers=headers, trust_env=False, timeout=_TIMEOUT_S, event_hooks={"response": [note]}
                ) as http,
                Client(streamable_http_client(f"{self.url}/mcp", http_client=http)) as client,
            ):
                result = await client.call_tool(name, dict(arguments))
        except Exception as error:  # the client raises groups of errors of its own and of the transport
            log.info("MCP tool failed", extra={"tool": name, "error": repr(error)})
            return ToolAnswer(next((one for one in reversed(statuses) if one >= 400), 0), "the tool failed")
        texts = [str(getattr(part, "text", "")) for part in result.content]
        return ToolAnswer(200, " ".join(texts))


def with_reference(conversation: ConversationItems, form: str) -> dict[str, object]:
    """The argument `call`, or no argument if the conversation names no call."""
    found = reference_of(conversation)
    return {"call": _FORMS[form](found)} if found and form != "missing" else {}


def reference_of(conversation: ConversationItems) -> str:
    systems = [item.text for item in reversed(conversation.items) if item.role == "system"]
    return next((match.group(1) for text in systems if (match := _REFERENCE.search(text))), "")


def _garbled(reference: str) -> str:
    return ("2" if reference[0] != "2" else "3") + reference[1:]


_FORMS: Final[Mapping[str, Callable[[str], str]]] = {
    "": str,
    "anonymous": str,
    "twice": str,
    "after_end": str,
    "garbled": _garbled,
    "reformatted": lambda reference: reference.replace("-", " ").lower(),
}
