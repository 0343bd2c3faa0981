"""The whole process: probes, one call, drain, and the exit after invalid settings."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from agent_relay.app import AgentRelay
from agent_relay.settings import RelaySettings
from bridge_common.redis.clients import RedisClients
from bridge_common.service.lifecycle import RunningService
from bridge_common.service.readiness import Readiness
from bridge_common.service.settings import load_settings
from bridge_common.streams.reader import StreamReader
from bridge_common.wire.entries import VoiceReady
from tests.integration.support.relay_call import Call, calls
from tests.integration.support.scripted_voice_live import opened, scripted, until_open
from tests.support.eventually import eventually
from tests.support.simulators import Simulator

PROGRAM = Path(sys.executable).with_name("agent-relay")


@pytest.fixture
async def call(clients: RedisClients) -> AsyncIterator[Call]:
    async with calls(clients) as ten:
        yield ten[0]


def _settings(monkeypatch: pytest.MonkeyPatch, redis_url: str, endpoint: str, **more: str) -> RelaySettings:
    given = {"REDIS_URL": redis_url, "AZURE_VOICE_LIVE_ENDPOINT": endpoint, "HOST": "127.0.0.1", "PORT": "0", **more}
    for name in RelaySettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return load_settings(RelaySettings)


async def _probe(running: RunningService, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{running.port}{path}")


async def _ready(running: RunningService) -> bool:
    return (await _probe(running, "/readyz")).status_code == 200


async def test_a_process_takes_a_call_and_drains(monkeypatch: pytest.MonkeyPatch, redis_url: str, call: Call) -> None:
    async with scripted(opened()) as service:
        model = {"VOICE_LIVE_MODEL": "m", "AZURE_VOICE_LIVE_API_KEY": "k", "DRAIN_TIMEOUT_S": "0"}
        settings = _settings(monkeypatch, redis_url, service.url, **model)
        relay = AgentRelay(settings)
        assert await relay.ready() == Readiness("starting")
        async with RunningService(relay, settings) as running:
            assert (await _probe(running, "/livez")).status_code == 200
            await eventually(partial(_ready, running))
            assert (await _probe(running, "/readyz")).json() == {"status": "ready"}
            await call.begin()
            await call.told(VoiceReady)
            session = await until_open(service, 0)
            metrics = (await _probe(running, "/metrics")).text
            assert "bridge_active_calls 1.0" in metrics
            unknown = await _probe(running, "/api/calls")
            assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")
            relay.draining = True
            assert (await _probe(running, "/readyz")).status_code == 503
            await asyncio.wait_for(relay.drain(), 5)
            assert session.connection is not None
            await asyncio.wait_for(session.connection.wait_closed(), 10)
        claims = await call.leases.claim(10)
        assert [claim.call_id for claim in claims] == [call.call_id], "another relay may claim it immediately"
        await call.end()


async def test_a_dead_reader_ends_the_process(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    async def die(_: StreamReader) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(StreamReader, "run", die)
    model = {"VOICE_LIVE_MODEL": "m", "AZURE_VOICE_LIVE_API_KEY": "k"}
    settings = _settings(monkeypatch, redis_url, "ws://127.0.0.1:1", **model)
    async with RunningService(AgentRelay(settings), settings) as running:
        assert await asyncio.wait_for(running.until_exit(), 10) == 1
        livez = await _probe(running, "/livez")
        assert (livez.status_code, livez.json()["reason"]) == (503, "reader has stopped")
        assert (await _probe(running, "/readyz")).json()["reason"] == "reader has stopped"


async def test_readiness_waits_for_the_token(
    monkeypatch: pytest.MonkeyPatch, redis_url: str, identity: Simulator
) -> None:
    await identity.put("/lab/faults", {"delay_s": 2.0})
    agent = {"AGENT_NAME": "a", "AGENT_PROJECT_NAME": "p"}
    settings = _settings(monkeypatch, redis_url, "ws://127.0.0.1:1", **agent)
    async with RunningService(AgentRelay(settings), settings) as running:

        async def waits() -> bool:
            answer = await _probe(running, "/readyz")
            return (answer.status_code, answer.json()["reason"]) == (503, "no token for https://ai.azure.com/.default")

        await eventually(waits)
        await eventually(partial(_ready, running))


async def test_without_redis_a_process_is_alive_and_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    model = {"VOICE_LIVE_MODEL": "m", "AZURE_VOICE_LIVE_API_KEY": "k"}
    settings = _settings(monkeypatch, "redis://127.0.0.1:1", "ws://127.0.0.1:1", **model)
    async with RunningService(AgentRelay(settings), settings) as running:
        assert (await _probe(running, "/livez")).status_code == 200
        assert (await _probe(running, "/readyz")).json()["reason"].startswith("Redis ")


def test_a_process_without_settings_lists_them_and_exits_with_2() -> None:
    bare = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    ended = subprocess.run([PROGRAM], env=bare, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    for name in ("REDIS_URL", "AZURE_VOICE_LIVE_ENDPOINT", "AGENT_NAME"):
        assert name in ended.stderr


async def test_a_process_has_warm_sessions_until_it_drains(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    async with scripted(opened(), opened()) as service:
        model = {"VOICE_LIVE_MODEL": "m", "AZURE_VOICE_LIVE_API_KEY": "k", "RELAY_WARM_SESSIONS": "2"}
        settings = _settings(monkeypatch, redis_url, service.url, **model)
        relay = AgentRelay(settings)
        async with RunningService(relay, settings) as running:

            async def stocked() -> bool:
                return "bridge_relay_warm_sessions 2.0" in (await _probe(running, "/metrics")).text

            await eventually(stocked)
            relay.draining = True
            await asyncio.wait_for(relay.drain(), 5)
            for session in service.sessions:
                assert session.connection is not None
                await asyncio.wait_for(session.connection.wait_closed(), 10)
                assert session.connection.close_code == 1000


async def test_a_process_is_ready_without_its_warm_sessions(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    model = {"VOICE_LIVE_MODEL": "m", "AZURE_VOICE_LIVE_API_KEY": "k", "RELAY_WARM_SESSIONS": "1"}
    settings = _settings(monkeypatch, redis_url, "ws://127.0.0.1:1", **model)
    async with RunningService(AgentRelay(settings), settings) as running:
        await eventually(partial(_ready, running))
