"""Tools of Foundry agents over HTTP and MCP, the latter with the official client."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import httpx
import httpx2
import jwt
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from bridge_common.redis.clients import RedisClients
from bridge_common.store.call_references import CallReferences
from bridge_common.wire.agent_tools import AGENT_TOOLS
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.call_reference import ReferredCall
from bridge_common.wire.entries import GoodbyeOver
from tests.integration.support.jwt_stage import KEY, OTHER_KEY, key_server
from tests.support.eventually import eventually
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import PhoneCall, Switchboard, switchboard

PLATFORM_KEY = "platform-key-of-the-tests"
REFERENCE = "7QK4-M2X9-RD"
TENANT = "11111111-2222-3333-4444-555555555555"
AUDIENCE = "api://calls"
IDENTITY = "99999999-2222-3333-4444-555555555555"


@pytest.fixture
async def agents(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> AsyncIterator[Switchboard]:
    async with switchboard(redis_url, clients, acs, AGENT_TOOLS_KEYS=PLATFORM_KEY) as board:
        yield board


async def connected(board: Switchboard, *tools: str) -> PhoneCall:
    call = PhoneCall()
    await board.connect(call)
    await CallReferences(board.redis).bind(REFERENCE, ReferredCall(call.call_id, tools or tuple(AGENT_TOOLS)))
    return call


async def use(board: Switchboard, tool: str, platform_key: str = PLATFORM_KEY, **arguments: object) -> httpx.Response:
    headers = {"X-Api-Key": platform_key} if platform_key else {}
    return await board.http.post(f"/agent/tools/{tool}", headers=headers, json=arguments)


async def acted(board: Switchboard, call: PhoneCall, count: int = 1) -> CallRecord:
    async def found() -> CallRecord | None:
        record = await board.store.load(call.call_id)
        return record if record and len(record.actions) == count else None

    record = await eventually(found, what=f"the call has {count} actions")
    assert record is not None
    return record


@asynccontextmanager
async def mcp_client(board: Switchboard, key: str = PLATFORM_KEY) -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, trust_env=False) as http:
        transport = streamable_http_client(f"{board.http.base_url}/agent/mcp", http_client=http)
        async with Client(transport) as client:
            yield client


async def test_an_agent_hangs_up_through_the_openapi_tool(agents: Switchboard) -> None:
    call = await connected(agents)
    reply = await use(agents, "end_call", call=REFERENCE.lower(), reason="done")
    assert (reply.status_code, reply.json()["ok"], reply.json()["state"]) == (200, True, "accepted")
    record = await acted(agents, call)
    assert (record.closing, record.actions[0].by) == (record.actions[0].id, "agent")
    again = await use(agents, "end_call", call=REFERENCE, reason="caller_asked")
    assert (again.json()["ok"], again.json()["state"]) == (True, "running")
    await agents.inbox.put(GoodbyeOver(call.call_id, record.closing, "heard"))
    record = await agents.reaches(call, Status.ENDING)
    assert (record.end_reason, len(record.actions)) == ("hung_up_by_agent", 1)


async def test_targets_are_names_in_the_policy(agents: Switchboard) -> None:
    call = await connected(agents)
    wanted = {"call": REFERENCE, "target": "billing", "topic": "Refund", "summary": ""}
    assert (await use(agents, "transfer_call", **wanted)).json() == {
        "ok": False,
        "reason": "The routing policy has no targets.",
    }
    await agents.set_policy(targets={"billing": {"phone": "+18005550001"}, "anna": {"phone": "+18005550002"}})
    assert (await use(agents, "add_participant", **wanted | {"target": "Bill"})).json() == {
        "ok": False,
        "reason": "The routing policy has no target 'Bill'; the targets are billing, anna.",
    }
    record = await agents.store.load(call.call_id)
    assert record is not None
    assert record.actions == ()
    reply = (await use(agents, "transfer_call", **wanted)).json()
    assert (reply["ok"], reply["state"]) == (True, "accepted")
    record = await acted(agents, call)
    action = record.actions[0]
    assert (action.kind, action.by) == ("transfer", "agent")
    assert json.loads(action.arguments) == {"target": "billing", "topic": "Refund", "summary": ""}


async def test_the_profile_limits_the_targets(agents: Switchboard) -> None:
    call = await connected(agents)
    await CallReferences(agents.redis).bind(REFERENCE, ReferredCall(call.call_id, tuple(AGENT_TOOLS), ("billing",)))
    await agents.set_policy(targets={"billing": {"phone": "+18005550001"}, "anna": {"phone": "+18005550002"}})
    wanted = {"call": REFERENCE, "target": "anna", "topic": "Refund", "summary": ""}
    for tool in ("transfer_call", "add_participant"):
        assert (await use(agents, tool, **wanted)).json() == {
            "ok": False,
            "reason": "This call may not use the target 'anna'; the targets are billing.",
        }
    assert (await use(agents, "transfer_call", **wanted | {"target": "billing"})).json()["ok"] is True
    assert len((await acted(agents, call)).actions) == 1


async def test_an_agent_acts_through_mcp(agents: Switchboard) -> None:
    call = await connected(agents)
    async with mcp_client(agents) as client:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == set(AGENT_TOOLS)
        assert all(tool.input_schema["required"][0] == "call" for tool in tools)
        result = await client.call_tool("add_note", {"call": REFERENCE, "text": "wants a call back"})
        assert result.structured_content == {"ok": True, "state": "accepted", "say": "The note is stored."}
        record = await acted(agents, call)
        assert json.loads(record.actions[0].arguments) == {"text": "wants a call back"}
        refused = await client.call_tool("send_dtmf", {"call": REFERENCE, "digits": "hello"})
        assert refused.structured_content == {
            "ok": False,
            "reason": "`digits` must be 1 to 18 characters of 0-9, A-D, * and #.",
        }


async def test_racing_repetitions_are_one_action(agents: Switchboard) -> None:
    call = await connected(agents)
    replies = await asyncio.gather(*[use(agents, "send_dtmf", call=REFERENCE, digits="1") for _ in range(8)])
    assert all(reply.json()["ok"] for reply in replies)
    await eventually(agents.idle, what="the inbox is empty")
    await acted(agents, call)
    assert agents.acs.done["sendDtmfTones"] == 1


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("dance", {"call": REFERENCE}, "There is no tool 'dance'; the tools are end_call, send_dtmf,"),
        (
            "end_call",
            {"call": REFERENCE, "reason": "x"},
            "`reason` must be one of done, caller_asked, abuse, voicemail.",
        ),
        ("end_call", {"call": REFERENCE, "reason": "done", "at": "1"}, "Unknown argument 'at', use `reason`."),
        ("end_call", {}, "The argument `call` is missing or garbled."),
        ("end_call", {"call": "0000-0000-00"}, "There is no call with this reference."),
        (
            "send_dtmf",
            {"call": REFERENCE, "digits": "1"},
            "send_dtmf is not allowed in this call; these are: end_call.",
        ),
    ],
)
async def test_refusals_are_words_that_the_agent_can_say(
    agents: Switchboard, tool: str, arguments: dict[str, str], reason: str
) -> None:
    call = await connected(agents, "end_call")
    reply = await use(agents, tool, **arguments)
    assert reply.status_code == 200
    assert reply.json()["ok"] is False
    assert reply.json()["reason"].startswith(reason)
    record = await agents.store.load(call.call_id)
    assert record is not None
    assert record.actions == ()


async def test_wrong_references_do_not_block_correct_ones(agents: Switchboard) -> None:
    await connected(agents)
    replies = [await use(agents, "end_call", call=f"0000-0000-0{number}") for number in range(5)]
    assert {(reply.status_code, reply.json()["ok"]) for reply in replies} == {(200, False)}
    assert (await use(agents, "add_note", call=REFERENCE, text="a")).json()["ok"] is True


@pytest.mark.parametrize("key", ["", "wrong"])
async def test_without_the_key_nothing_is_done(agents: Switchboard, key: str) -> None:
    call = await connected(agents)
    assert (await use(agents, "end_call", key, call=REFERENCE, reason="done")).status_code == 401
    reply = await agents.http.post("/agent/mcp", headers={"X-Api-Key": key}, json={})
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "unauthorized")
    record = await agents.store.load(call.call_id)
    assert record is not None
    assert record.actions == ()


async def test_agent_tools_are_off_by_default(board: Switchboard) -> None:
    assert (await use(board, "end_call", call=REFERENCE)).status_code == 403
    assert (await board.http.post("/agent/mcp", json={})).status_code == 403


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"a"', b'{"text":"\\ud83d"}'])
async def test_bad_bodies(agents: Switchboard, body: bytes) -> None:
    headers = {"X-Api-Key": PLATFORM_KEY}
    reply = await agents.http.post("/agent/tools/end_call", headers=headers, content=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_request")
    assert (await agents.http.post("/agent/mcp", headers=headers, content=body)).status_code in (400, 406, 415)


async def test_mcp_serves_only_requests(agents: Switchboard) -> None:
    headers = {"X-Api-Key": PLATFORM_KEY, "Accept": "application/json, text/event-stream"}

    async def post(body: bytes, content_type: str = "application/json") -> httpx.Response:
        return await agents.http.post("/agent/mcp", headers=headers | {"Content-Type": content_type}, content=body)

    for method in ("GET", "DELETE", "PUT"):
        reply = await agents.http.request(method, "/agent/mcp", headers=headers)
        assert (reply.status_code, reply.headers["allow"]) == (405, "POST"), method
        assert reply.json()["error"]["code"] == "method_not_allowed"
    reply = await post(b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}', "text/plain")
    assert (reply.status_code, reply.json()["error"]["code"]) == (415, "unsupported_media_type")
    for body in (b'{"jsonrpc":"2.0","id":NaN,"method":"tools/list"}', b"[" * 10_000, b'{"id":"\\ud800"}'):
        reply = await post(body)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_request"), body
    assert (await post(b'{"a":"' + b"x" * 70_000 + b'"}')).status_code == 413


async def test_the_mcp_server_names_its_version(agents: Switchboard) -> None:
    async with mcp_client(agents) as client:
        assert client.server_info is not None
        assert client.server_info.version == version("call-control")


async def test_the_document_names_the_public_address(agents: Switchboard) -> None:
    document = (await agents.http.get("/agent/openapi.json")).json()
    assert document["servers"] == [{"url": "http://control.test"}]
    assert set(document["paths"]) == {f"/agent/tools/{name}" for name in AGENT_TOOLS}


async def test_tokens_of_allowed_identities(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    def token(key: Any = KEY, **changes: object) -> str:
        claims = {
            "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
            "aud": AUDIENCE,
            "exp": int(time.time()) + 600,
            "oid": IDENTITY,
        }
        return jwt.encode(claims | changes, key, algorithm="RS256", headers={"kid": "k1"})

    async with (
        key_server() as server,
        switchboard(
            redis_url,
            clients,
            acs,
            AGENT_TOOLS_TENANT_ID=TENANT,
            AGENT_TOOLS_AUDIENCE=AUDIENCE,
            AGENT_TOOLS_IDENTITIES=IDENTITY,
            AGENT_TOOLS_JWKS_URL=server.url,
        ) as board,
    ):
        call = await connected(board)

        async def status(bearer: str) -> int:
            headers = {"Authorization": f"Bearer {bearer}"}
            body = {"call": REFERENCE, "text": "a"}
            return (await board.http.post("/agent/tools/add_note", headers=headers, json=body)).status_code

        assert await status(token()) == 200
        assert await status(token(oid="someone", azp=IDENTITY)) == 200
        assert await status(token(tid=TENANT)) == 200
        for bad in (
            token(oid="someone else"),
            token(aud="api://other"),
            token(exp=int(time.time()) - 600),
            token(tid="22222222-2222-3333-4444-555555555555"),
            token(iss="https://login.microsoftonline.com/other/v2.0"),
            token(OTHER_KEY),
            "nonsense",
        ):
            assert await status(bad) == 401
        await acted(board, call)
