"""Calls survive on a relay that authenticates to Redis with Entra tokens of a slow identity endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest

from agent_relay.app import AgentRelay
from agent_relay.settings import RelaySettings
from bridge_common.redis.clients import RedisClients
from bridge_common.redis.credentials import EntraCredentials
from bridge_common.service.lifecycle import RunningService
from bridge_common.wire.entries import VoiceReady
from lab.identity import SYSTEM_ASSIGNED, object_id
from lab.redis_line import ask
from tests.integration.support.relay_call import Call, calls
from tests.integration.support.scripted_voice_live import opened, scripted, until_open
from tests.support.eventually import eventually
from tests.support.simulators import Simulator

USER = object_id(SYSTEM_ASSIGNED)
SLOW_S = 1.5
"""Seconds per token, longer than any timeout of a lease or a heartbeat."""
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def port(redis_url: str) -> int:
    """Port of a Redis server that accepts the identity with any token."""
    found = urlsplit(redis_url).port
    assert found is not None
    ask(found, "ACL", "SETUSER", USER, "reset", "on", "nopass", "~*", "&*", "+@all")
    return found


@pytest.fixture
async def call(clients: RedisClients) -> AsyncIterator[Call]:
    async with calls(clients) as ten:
        yield ten[0]


async def probe(running: RunningService) -> int:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(f"http://127.0.0.1:{running.port}/readyz")).status_code


async def test_a_call_survives_a_slow_identity(
    redis_url: str, port: int, identity: Simulator, clients: RedisClients, call: Call
) -> None:
    await identity.put("/lab/faults", {"delay_s": SLOW_S})
    async with scripted(opened()) as service:
        values = {"redis_url": redis_url, "redis_entra": True, "host": "127.0.0.1", "port": 0}
        voice = {"azure_voice_live_endpoint": service.url, "azure_voice_live_api_key": "k", "voice_live_model": "m"}
        settings = RelaySettings.model_validate(values | voice)
        relay = AgentRelay(settings)
        async with RunningService(relay, settings) as running:

            async def ready() -> bool:
                return await probe(running) == 200

            assert not await ready(), "there is no token yet"
            await eventually(ready)
            await call.begin()
            await until_open(service, 0)
            await call.told(VoiceReady)
            assert relay._clients is not None
            control, credentials = relay._clients.control, relay._clients.credentials
            assert isinstance(credentials, EntraCredentials)
            # The token has expired: Redis has closed every connection that used it. The next token is slow, and
            # commands time out.
            await credentials._tokens.aclose()
            credentials._tokens._tokens.clear()
            ask(port, "CLIENT", "KILL", "USER", USER)
            await control.connection_pool.disconnect()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await asyncio.gather(*(control.ping() for _ in range(control.connection_pool.max_connections)))
            await eventually(lambda: credentials.token)
            await eventually(ready)
            # Reading the records again would end the process if Redis responded in RESP2.
            assert relay._worker is not None
            [owned] = relay._worker.owned_calls.values()
            before = owned.record
            await eventually(lambda: owned.record is not before or relay.parts.failure)
            assert relay.parts.failure == ""
            await call.end()
    ask(port, "ACL", "DELUSER", USER)
