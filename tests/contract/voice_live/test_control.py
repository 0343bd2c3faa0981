"""The control API on a real socket: agents, faults, sessions, and what bad requests get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import websockets

from eventually import eventually
from lab.voice_live.app import server_config
from lab.voice_live.settings import VoiceLiveSettings
from lab_server import running
from voice_live_stage import raw_client


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


@pytest.mark.parametrize("path", ["/lab/agent", "/lab/faults"])
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
