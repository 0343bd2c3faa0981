"""MCP calls of the simulated service against a real MCP server, in every form in which they may come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn

from lab.business import BusinessSettings, create_app
from lab.voice_live.app import server_config
from lab.voice_live.server_events import Event
from lab.voice_live.settings import VoiceLiveSettings
from tests.support.lab_server import running
from tests.support.voice_live_stage import RawClient, kinds, part, raw_client

REPLY = {"mcp": {"server": "shop", "name": "order_state", "arguments": {"number": "42"}}}


async def put(url: str, body: object) -> None:
    async with httpx.AsyncClient(timeout=30) as http:
        (await http.put(url, json=body)).raise_for_status()


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async with running(server_config(VoiceLiveSettings(port=0, session_setup_s=0.0, reply_delay_s=0.0))) as address:
        await put(f"http://{address}/lab/agent", {"replies": [REPLY]})
        yield address


@pytest.fixture
async def shop() -> AsyncIterator[str]:
    config = uvicorn.Config(create_app(BusinessSettings()), host="127.0.0.1", port=0, log_config=None)
    async with running(config) as address:
        yield address


async def fault(address: str, form: str) -> None:
    await put(f"http://{address}/lab/faults", {"mcp": {"form": form, "times": 1}})


async def session(client: RawClient, shop: str, **fields: Any) -> str:
    """Configure the session. Return the type of the event that ends the listing of the tools."""
    tool = {"type": "mcp", "server_label": "shop", "server_url": f"http://{shop}/mcp", **fields}
    await client.tell(type="session.update", session={"tools": [tool]})
    await client.until("mcp_list_tools.in_progress")
    return str((await client.next())["type"])


async def ask(client: RawClient) -> None:
    content = [{"type": "input_text", "text": "Where is my order?"}]
    item = {"type": "message", "role": "user", "content": content}
    await client.tell(type="conversation.item.create", item=item)
    await client.tell(type="response.create")


async def speech(client: RawClient) -> object:
    await client.tell(type="response.create")
    return (await client.until("response.audio_transcript.done"))["transcript"]


def mcp_events(events: list[Event]) -> list[str]:
    return [one for one in kinds(events) if "mcp" in one or one in ("response.done", "response.output_item.done")]


@pytest.mark.timeout(60)
async def test_a_call_is_made_within_the_response_and_answered_in_the_next(address: str, shop: str) -> None:
    async with raw_client(address) as client:
        assert await session(client, shop, require_approval="never") == "mcp_list_tools.completed"
        await ask(client)
        await client.until("response.done")
        assert mcp_events(client.seen)[2:] == [
            "response.mcp_call_arguments.delta",
            "response.mcp_call_arguments.done",
            "response.mcp_call.in_progress",
            "response.mcp_call.completed",
            "response.output_item.done",
            "response.done",
        ]
        item = part(client.seen[-2], "item")
        assert isinstance(item, dict)
        assert (item["type"], item["server_label"], item["name"]) == ("mcp_call", "shop", "order_state")
        assert "on its way" in str(item["output"])
        assert "on its way" in str(await speech(client))


@pytest.mark.timeout(60)
async def test_a_call_may_end_after_its_response(address: str, shop: str) -> None:
    await fault(address, "after_response")
    async with raw_client(address) as client:
        await session(client, shop, require_approval="never")
        await ask(client)
        await client.until("response.output_item.done")
        ends = ["response.done", "response.mcp_call.completed", "response.output_item.done"]
        assert mcp_events(client.seen)[-3:] == ends


@pytest.mark.timeout(60)
@pytest.mark.parametrize("silent", [False, True])
async def test_an_approved_call_is_made_at_once_or_in_the_next_response(address: str, shop: str, silent: bool) -> None:
    if silent:
        await fault(address, "silent_approval")
    async with raw_client(address) as client:
        await session(client, shop)
        await ask(client)
        done = await client.until("response.done")
        request = part(done, "response", "output")
        assert isinstance(request, list)
        assert (request[0]["type"], request[0]["arguments"]) == ("mcp_approval_request", '{"number":"42"}')
        answer = {"type": "mcp_approval_response", "approval_request_id": request[0]["id"], "approve": True}
        await client.tell(type="conversation.item.create", item=answer)
        if silent:
            await client.tell(type="response.create")
        await client.until("response.mcp_call.completed")


@pytest.mark.timeout(60)
async def test_a_refused_call_is_not_made_and_unknown_fields_are_rejected(address: str, shop: str) -> None:
    async with raw_client(address) as client:
        await session(client, shop)
        await ask(client)
        done = await client.until("response.done")
        request = part(done, "response", "output")
        assert isinstance(request, list)
        answer = {"type": "mcp_approval_response", "approval_request_id": request[0]["id"], "approve": False}
        await client.tell(type="conversation.item.create", item=answer | {"reason": "no"})
        await client.until("error")
        await client.tell(type="conversation.item.create", item=answer)
        assert "anything else" in str(await speech(client))
        assert not [one for one in kinds(client.seen) if one.startswith("response.mcp_call")]


@pytest.mark.timeout(60)
async def test_a_call_may_come_as_a_function_call(address: str, shop: str) -> None:
    await fault(address, "function_call")
    async with raw_client(address) as client:
        await session(client, shop, require_approval="never")
        await ask(client)
        call = await client.until("response.function_call_arguments.done")
        assert (call["name"], call["arguments"]) == ("order_state", '{"number":"42"}')


@pytest.mark.timeout(60)
async def test_tools_that_cannot_be_listed(address: str, shop: str) -> None:
    await fault(address, "list_failed")
    async with raw_client(address) as client:
        assert await session(client, shop) == "mcp_list_tools.failed"
