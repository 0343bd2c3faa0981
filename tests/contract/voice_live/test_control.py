"""The control API on a real socket: agents, faults, sessions, and responses to invalid requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import websockets

from lab.identity import DEFAULT_SECRET, IssuedToken, mint_token
from lab.voice_live.app import server_config
from lab.voice_live.settings import DEFAULT_API_KEY, VoiceLiveSettings
from tests.support.eventually import eventually
from tests.support.lab_server import running
from tests.support.voice_live_stage import NEWEST, RawClient, part, raw_client

AI = "https://ai.azure.com"


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async with running(server_config(VoiceLiveSettings(port=0, session_setup_s=0.0))) as address:
        yield address


@pytest.fixture
async def lab(address: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://{address}") as client:
        yield client


async def test_the_agent_and_the_faults_can_be_set_and_read(lab: httpx.AsyncClient) -> None:
    assert (await lab.get("/healthz")).json() == {"status": "ok"}
    agent = {"mode": "script", "greeting": "Hi", "replies": [{"heard": "a", "say": "b"}]}
    assert (await lab.put("/lab/agent", json=agent)).status_code == 200
    assert (await lab.get("/lab/agent")).json()["greeting"] == "Hi"
    faults = {"handshake": {"status": 429, "times": 2}}
    assert (await lab.put("/lab/faults", json=faults)).json() == faults
    assert (await lab.delete("/lab/faults")).status_code == 204
    assert (await lab.get("/lab/faults")).json() == {}


MODEL = f"api-version={NEWEST}&model=gpt-4o"


async def greeting(client: RawClient) -> object:
    """Return the text of the agent's greeting."""
    await client.tell(type="response.create")
    return (await client.until("response.audio_transcript.done"))["transcript"]


async def test_a_connection_is_answered_by_the_script_that_it_names(address: str, lab: httpx.AsyncClient) -> None:
    for name in ("one", "two", "gpt-4.1", "clerk"):
        path = f"/lab/agents/{name}"
        assert (await lab.put(path, json={"greeting": f"This is {name}."})).json()["greeting"] == f"This is {name}."
    assert set((await lab.get("/lab/agents")).json()) == {"one", "two", "gpt-4.1", "clerk"}
    (await lab.put("/lab/agent", json={"greeting": "This is everybody."})).raise_for_status()
    key = {"api-key": DEFAULT_API_KEY}
    for query, headers, who in (
        (MODEL, key | {"x-lab-agent": "one"}, "one"),
        (f"{MODEL}&lab-agent=two", key, "two"),
        (f"api-version={NEWEST}&model=gpt-4.1", key, "gpt-4.1"),
        (MODEL, key, "everybody"),
    ):
        async with raw_client(address, query, headers) as client:
            assert await greeting(client) == f"This is {who}."
    bearer = {
        "authorization": f"Bearer {mint_token(IssuedToken(AI, 'app', int(time.time()) + 60), DEFAULT_SECRET, 0.0)}"
    }
    async with raw_client(address, f"api-version={NEWEST}&agent-name=clerk&agent-project-name=p", bearer) as client:
        assert await greeting(client) == "This is clerk."
    assert (await lab.delete("/lab/agents/one")).status_code == 204
    assert (await lab.delete("/lab/agents/one")).status_code == 404


async def test_api_keys_are_replaced_and_open_sessions_stay(address: str, lab: httpx.AsyncClient) -> None:
    async with raw_client(address, MODEL, {"api-key": DEFAULT_API_KEY}) as client:
        assert (await lab.put("/lab/api-keys", json={"api_keys": ["first", "second"]})).status_code == 204
        for key in ("first", "second"):
            async with raw_client(address, MODEL, {"api-key": key}):
                pass
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            async with raw_client(address, MODEL, {"api-key": DEFAULT_API_KEY}):
                pass
        assert refused.value.response.status_code == 401
        await client.tell(type="response.create")
        await client.until("response.done")
    assert (await lab.put("/lab/api-keys", json={"api_keys": ["1", "2", "3"]})).status_code == 400


async def test_a_script_that_was_never_set_is_refused(address: str, lab: httpx.AsyncClient) -> None:
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        async with raw_client(address, f"{MODEL}&lab-agent=nobody"):
            pass
    assert refused.value.response.status_code == 404
    assert b"PUT /lab/agents/nobody" in (refused.value.response.body or b"")


async def test_an_open_session_can_be_given_a_script(address: str, lab: httpx.AsyncClient) -> None:
    async with raw_client(address) as changed, raw_client(address) as other:
        session_id = str(part(await changed.next(), "session", "id"))
        path = f"/lab/sessions/{session_id}/agent"
        assert (await lab.put(path, json={"greeting": "Just for you."})).status_code == 200
        assert await greeting(changed) == "Just for you."
        assert await greeting(other) != "Just for you."
        assert (await lab.put(path, json={"mode": "echo"})).status_code == 409
        assert (await lab.put(path, json={"typo": 1})).status_code == 400
    assert (await lab.put("/lab/sessions/nobody/agent", json={})).status_code == 404


async def test_accepted_fields_without_effect_are_listed_with_their_uses(address: str, lab: httpx.AsyncClient) -> None:
    async with raw_client(address, f"{MODEL}&features=client_ec_reference:true") as client:
        await client.tell(type="session.update", session={"avatar": {"character": "lisa"}, "temperature": None})
        await client.until("session.updated")
    listed = {row["where"]: row for row in (await lab.get("/lab/unsupported")).json()}
    used = {where: row["used"] for where, row in listed.items()}
    assert (used["session.avatar"], used["query.features"], used["session.temperature"]) == (1, 1, 0)
    assert listed["session.avatar"]["refused_when_strict"] is True
    assert listed["session.instructions"]["refused_when_strict"] is False
    assert all(row["what"] for row in listed.values())


async def test_a_strict_resource_refuses_fields_without_effect() -> None:
    async with running(server_config(VoiceLiveSettings(port=0, session_setup_s=0.0, lab_strict=True))) as address:
        async with raw_client(address) as client:
            avatar = {"character": "lisa"}
            await client.tell(type="session.update", session={"instructions": "Be kind.", "avatar": avatar})
            error = await client.until("error")
            assert part(error, "error", "code") == "lab_not_simulated"
            assert part(error, "error", "param") == "session.avatar"
            await client.tell(type="session.update", session={"instructions": "Be kind.", "avatar": None})
            updated = await client.until("session.updated")
            assert part(updated, "session", "avatar") is None
        async with raw_client(address, f"{MODEL}&features=client_ec_reference:true") as client:
            assert part(await client.next(), "error", "param") == "query.features"


@pytest.mark.parametrize("path", ["/lab/agent", "/lab/agents/one", "/lab/faults"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"typo": 1}', b"\xff"])
async def test_bad_bodies_get_a_reason(lab: httpx.AsyncClient, path: str, body: bytes) -> None:
    answer = await lab.put(path, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


async def test_sessions_are_listed_shown_dropped_and_closed(address: str, lab: httpx.AsyncClient) -> None:
    headers = {"api-key": VoiceLiveSettings().api_key, "x-ms-client-request-id": "call-1"}
    async with raw_client(address, headers=headers) as first, raw_client(address) as second:
        await first.next()
        await second.next()
        listed = (await lab.get("/lab/sessions")).json()["sessions"]
        assert [row["client_request_id"] for row in listed] == ["call-1", None]
        shown = (await lab.get(f"/lab/sessions/{listed[0]['id']}")).json()
        assert shown["state"] == "open"
        assert [row["event"] for row in shown["timeline"]] == ["connected", "session_created"]
        marks = (await lab.get(f"/lab/sessions/{listed[0]['id']}/marks")).json()
        assert marks == {"sent": [], "heard": [], "shift_ms": None, "interrupted_at": []}
        assert (await lab.post(f"/lab/sessions/{listed[0]['id']}/drop")).status_code == 204
        bad = await lab.post(f"/lab/sessions/{listed[1]['id']}/close", json={"code": 7})
        assert bad.status_code == 400
        assert (await lab.post(f"/lab/sessions/{listed[1]['id']}/close")).status_code == 204
        for client, code in ((first, 1006), (second, 1001)):
            with pytest.raises(websockets.ConnectionClosed):
                await client.next()
            assert client.socket.close_code == code

    async def both_closed() -> bool:
        rows = (await lab.get("/lab/sessions")).json()["sessions"]
        return [(row["state"], row["close_code"]) for row in rows] == [("closed", 1006), ("closed", 1001)]

    await eventually(both_closed)


@pytest.mark.parametrize("path", ["", "/marks"])
async def test_an_unknown_session_is_404(lab: httpx.AsyncClient, path: str) -> None:
    assert (await lab.get(f"/lab/sessions/sess_x{path}")).status_code == 404
    assert (await lab.post("/lab/sessions/sess_x/drop")).status_code == 404
    assert (await lab.post("/lab/sessions/sess_x/close")).status_code == 404


async def test_a_mute_session_keeps_its_socket_and_sends_nothing(address: str, lab: httpx.AsyncClient) -> None:
    async with raw_client(address) as client:
        await client.until("session.created")
        session_id = (await lab.get("/lab/sessions")).json()["sessions"][0]["id"]
        assert (await lab.post(f"/lab/sessions/{session_id}/mute")).status_code == 204
        await client.tell(type="session.update", session={})

        async def heard() -> bool:
            shown = (await lab.get(f"/lab/sessions/{session_id}")).json()
            return bool(shown["counters"]["events_in"])

        await eventually(heard)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.next()
    assert (await lab.post("/lab/sessions/sess_x/mute")).status_code == 404
