"""Runs the three services in this process, with a given Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import httpx

from agent_relay.app import AgentRelay
from agent_relay.settings import RelaySettings
from bridge_common.service.lifecycle import RunningService
from call_control.settings import CallControlSettings
from tests.integration.support.gateway_under_test import running_gateway
from tests.support.eventually import eventually
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import environment, replica

Start: TypeAlias = Callable[[str], AbstractAsyncContextManager[str]]
"""Function that starts a service with this Redis and yields its address."""


@asynccontextmanager
async def call_control(url: str) -> AsyncIterator[str]:
    acs = ScriptedAcs()
    acs.endpoint = "http://127.0.0.1:1"
    values = {name.lower(): value for name, value in environment(url, acs).items()}
    async with replica(CallControlSettings.model_validate(values)) as address:
        yield address


@asynccontextmanager
async def media_gateway(url: str) -> AsyncIterator[str]:
    async with running_gateway(url) as gateway:
        yield f"http://127.0.0.1:{gateway.running.port}"


@asynccontextmanager
async def agent_relay(url: str) -> AsyncIterator[str]:
    values = {
        "redis_url": url,
        "host": "127.0.0.1",
        "port": 0,
        "azure_voice_live_endpoint": "ws://127.0.0.1:1",
        "azure_voice_live_api_key": "key",
        "voice_live_model": "model",
    }
    settings = RelaySettings.model_validate(values)
    async with RunningService(AgentRelay(settings), settings) as running:
        yield f"http://127.0.0.1:{running.port}"


async def await_readiness(address: str, status: int, part: str) -> None:
    """Wait until /readyz responds with this status and a reason that contains `part`."""
    async with httpx.AsyncClient(base_url=address, trust_env=False) as http:

        async def reached() -> bool:
            answer = await http.get("/readyz")
            return answer.status_code == status and part in answer.json().get("reason", "")

        await eventually(reached, what=f"/readyz {status} {part}")
        assert (await http.get("/livez")).status_code == 200
