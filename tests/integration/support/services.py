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

UNREADY_AFTER_S = 2.0
Start: TypeAlias = Callable[[str], AbstractAsyncContextManager[str]]
"""Function that starts a service with this Redis and yields its address."""


@asynccontextmanager
async def call_control(url: str) -> AsyncIterator[str]:
    acs = ScriptedAcs()
    acs.endpoint = "http://127.0.0.1:1"
    variables = environment(url, acs, UNREADY_AFTER_S=str(UNREADY_AFTER_S))
    values = {name.lower(): value for name, value in variables.items()}
    async with replica(CallControlSettings.model_validate(values)) as address:
        yield address


@asynccontextmanager
async def media_gateway(url: str) -> AsyncIterator[str]:
    async with running_gateway(url, unready_after_s=UNREADY_AFTER_S) as gateway:
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
        "unready_after_s": UNREADY_AFTER_S,
    }
    settings = RelaySettings.model_validate(values)
    async with RunningService(AgentRelay(settings), settings) as running:
        yield f"http://127.0.0.1:{running.port}"


async def await_readiness(address: str, status: int, part: str = "") -> list[tuple[int, str]]:
    """Wait until /readyz responds with this status and a reason or limit that contains `part`. Returns the responses
    up to then: status, and reason or limit.
    """
    seen: list[tuple[int, str]] = []
    async with httpx.AsyncClient(base_url=address, trust_env=False) as http:

        async def reached() -> bool:
            answer = await http.get("/readyz")
            body = answer.json()
            seen.append((answer.status_code, body.get("reason") or body.get("degraded") or ""))
            return answer.status_code == status and part in seen[-1][1]

        await eventually(reached, what=f"/readyz {status} {part}", within_s=10)
        assert (await http.get("/livez")).status_code == 200
    return seen
