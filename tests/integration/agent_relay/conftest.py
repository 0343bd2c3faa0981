from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Final

import pytest
import uvloop

from bridge_common.redis.clients import RedisClients
from tests.integration.support.relay_call import Call, calls
from tests.integration.support.relay_line import FAST, Line, line_on
from tests.support.simulators import Simulator, control_of, simulator, simulator_process

_ON_BOTH_LOOPS: Final = ("test_voice_live_client", "test_voice_handshake")
"""Modules whose tests take over a socket from asyncio's own transports, and therefore run on both event loops."""


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the event loop of the services, and for some tests also the default loop of asyncio."""
    if item.path.stem in _ON_BOTH_LOOPS:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def ten(clients: RedisClients) -> AsyncIterator[list[Call]]:
    """Ten calls that have not begun yet."""
    async with calls(clients) as ten:
        yield ten


@pytest.fixture
async def voice_live() -> AsyncIterator[Simulator]:
    async with simulator("voice-live", SPEED="0", REPLY_DELAY_S="0.05", SESSION_SETUP_S="0.01") as running:
        yield running


@pytest.fixture
async def identity(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    """Environment in which `DefaultAzureCredential` finds the identity endpoint."""
    async with simulator("identity", IDENTITY_HEADER="header") as running:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{running.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header")
        yield running


@pytest.fixture(scope="session")
def voice_live_port() -> Iterator[int]:
    """Port of a simulated Voice Live, one process for all tests with a `line`. Each test replaces its faults and its
    agent.
    """
    with simulator_process("voice-live", **FAST, SPEED="0") as port:
        yield port


@pytest.fixture
async def line(clients: RedisClients, voice_live_port: int) -> AsyncIterator[Line]:
    async with control_of(voice_live_port) as voice_live, calls(clients) as ten:
        yield await line_on(ten[0], voice_live)
