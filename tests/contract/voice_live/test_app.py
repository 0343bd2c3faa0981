"""Handshakes on a real socket: paths, status codes, errors after 101, quota, settings of the program."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
import uvicorn
import websockets

from lab.identity import DEFAULT_SECRET, IssuedToken, mint_token
from lab.tls import Tls
from lab.voice_live.app import main, server_config
from lab.voice_live.settings import DEFAULT_API_KEY, VoiceLiveSettings
from tests.support.lab_server import no_server, running
from tests.support.voice_live_stage import NEWEST, part, raw_client

MODEL = f"api-version={NEWEST}&model=gpt-4o"
NO_PROJECT = f"api-version={NEWEST}&agent-name=clerk"
AGENT = f"api-version={NEWEST}&agent-name=clerk&agent-project-name=my+project"


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async with running(server_config(VoiceLiveSettings(port=0, session_setup_s=0.0))) as address:
        yield address


def bearer(audience: str) -> dict[str, str]:
    now = time.time()
    return {"Authorization": f"Bearer {mint_token(IssuedToken(audience, 'app', int(now) + 600), DEFAULT_SECRET, now)}"}


async def status_of(address: str, query: str, headers: Mapping[str, str], path: str = "/voice-live/realtime") -> int:
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        async with raw_client(address, query, headers, path):
            pass
    assert refused.value.response.body
    return refused.value.response.status_code


@pytest.mark.parametrize(
    "path", ["/voice-live/realtime", "/voice-agent/realtime", "/openai/realtime/voice-live/realtime"]
)
async def test_the_session_is_created_unprompted(address: str, path: str) -> None:
    async with raw_client(address, MODEL, path=path) as client:
        created = await client.next()
    assert created["type"] == "session.created"
    assert str(part(created, "session", "id")).startswith("sess_")
    assert isinstance(part(created, "session", "expires_at"), int)


async def test_handshakes_that_fail_as_http(address: str) -> None:
    assert await status_of(address, MODEL, {}) == 401
    assert await status_of(address, MODEL, {"api-key": "wrong"}) == 401
    assert await status_of(address, "api-version=2020-01-01&model=gpt-4o", {"api-key": DEFAULT_API_KEY}) == 404
    assert await status_of(address, MODEL, {"api-key": DEFAULT_API_KEY}, "/voice-live/unknown") == 404
    async with httpx.AsyncClient() as client:
        refused = (await client.get(f"http://{address}/lab/handshakes")).json()["refused"]
    assert [row["status"] for row in refused] == [401, 401, 404, 404]


@pytest.mark.parametrize(
    ("query", "headers", "message"),
    [
        (AGENT, {"api-key": DEFAULT_API_KEY}, "Key authentication is not supported in Agent mode"),
        (
            AGENT,
            bearer("https://cognitiveservices.azure.com"),
            "Authentication error to AI Agent service: Unauthorized",
        ),
        (
            f"api-version={NEWEST}&agent-name=clerk",
            bearer("https://ai.azure.com"),
            "Missing required agent project name",
        ),
        (
            f"api-version={NEWEST}&agent-id=asst_1&agent-project-name=p",
            bearer("https://ai.azure.com"),
            "Classic foundry agent is not supported in API version 2026-04-10 and above",
        ),
        (
            f"api-version={NEWEST}&model=gpt-9",
            {"api-key": DEFAULT_API_KEY},
            "Model gpt-9 is not supported in this region",
        ),
    ],
)
async def test_wrong_parameters_open_say_why_and_close(
    address: str, query: str, headers: dict[str, str], message: str
) -> None:
    async with raw_client(address, query, headers) as client:
        error = await client.next()
        assert error["type"] == "error"
        assert part(error, "error", "message") == message
        with pytest.raises(websockets.ConnectionClosed):
            await client.next()
        assert client.socket.close_code == VoiceLiveSettings().agent_error_close_code


async def test_an_agent_is_found_by_its_decoded_project(address: str) -> None:
    async with raw_client(address, AGENT, bearer("https://ai.azure.com")) as client:
        assert part(await client.next(), "session", "agent", "name") == "clerk"
    async with httpx.AsyncClient() as lab:
        sessions = (await lab.get(f"http://{address}/lab/sessions")).json()["sessions"]
    assert sessions[0]["project"] == "my project"


async def test_the_handshake_of_the_original_article(address: str) -> None:
    headers = {"api-key": DEFAULT_API_KEY, "OpenAI-Beta": "realtime=v1"}
    query = "api-version=2024-10-01-preview&deployment=gpt-4o-realtime-preview"
    async with raw_client(address, query, headers, "/openai/realtime") as client:
        assert part(await client.next(), "session", "voice") == "alloy"
        await client.tell(type="session.update", session={"turn_detection": {"type": "azure_semantic_vad"}})
        assert part(await client.next(), "error", "param") == "session.turn_detection.type"
        await client.tell(type="session.update", session={"turn_detection": {"type": "server_vad"}})
        assert (await client.next())["type"] == "session.updated"


async def test_beyond_the_quota_it_answers_429() -> None:
    settings = VoiceLiveSettings(port=0, session_setup_s=0.0, new_connections_per_minute=2)
    async with running(server_config(settings)) as address:
        for _ in range(2):
            async with raw_client(address) as client:
                await client.next()
        assert await status_of(address, MODEL, {"api-key": DEFAULT_API_KEY}) == 429
        async with httpx.AsyncClient() as lab:
            quota = (await lab.get(f"http://{address}/lab/quota")).json()
        assert quota == {"per_minute": 2, "counted": 2, "most": 2}


async def test_a_refusal_may_say_when_to_come_again() -> None:
    settings = VoiceLiveSettings(port=0, session_setup_s=0.0, new_connections_per_minute=1, quota_retry_after=True)
    async with running(server_config(settings)) as address, httpx.AsyncClient() as lab:
        async with raw_client(address) as client:
            await client.next()
        with pytest.raises(websockets.InvalidStatus) as full:
            async with raw_client(address):
                pass
        assert 50 < int(full.value.response.headers["Retry-After"]) <= 60
        fault = {"handshake": {"status": 429, "retry_after_s": 7, "times": 1}}
        await lab.put(f"http://{address}/lab/faults", json=fault)
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with raw_client(address):
                pass
        assert refused.value.response.headers["Retry-After"] == "7"


async def test_injected_handshake_faults(address: str) -> None:
    async with httpx.AsyncClient() as lab:
        await lab.put(f"http://{address}/lab/faults", json={"handshake": {"status": 503, "times": 1}})
        assert await status_of(address, MODEL, {"api-key": DEFAULT_API_KEY}) == 503
        await lab.put(f"http://{address}/lab/faults", json={"refuse": {"times": 1}})
    async with raw_client(address) as client:
        assert part(await client.next(), "error", "code") == "agent_initialization_failed"
    async with raw_client(address) as client:
        assert (await client.next())["type"] == "session.created"


def test_wrong_settings_end_the_program_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPEED", "fast")
    assert main([]) == 2
    assert "SPEED must be a number, got 'fast'" in capsys.readouterr().err


@pytest.mark.parametrize(("argument", "variable"), [(["--strict"], "false"), ([], "1")])
def test_strictness_is_an_option_and_a_setting(
    argument: list[str], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[VoiceLiveSettings] = []

    def record(settings: VoiceLiveSettings, tls: Tls | None) -> uvicorn.Config:
        served.append(settings)
        return server_config(settings, tls)

    monkeypatch.setenv("LAB_STRICT", variable)
    monkeypatch.setattr("lab.voice_live.app.server_config", record)
    monkeypatch.setattr(uvicorn.Server, "serve", no_server)
    monkeypatch.setattr("lab.simulator.configure_log", lambda level: None)
    assert main(argument) == 0
    assert [settings.lab_strict for settings in served] == [True]
