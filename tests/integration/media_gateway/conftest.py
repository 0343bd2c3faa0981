from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import uvloop

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.keys import Keys
from tests.integration.support.gateway_under_test import (
    Gateway,
    Line,
    OpenLine,
    StartGateway,
    running_gateway,
)
from tests.integration.support.gateway_under_test import open_line as open_line_

_ON_BOTH_LOOPS: Final = ("test_gateway_server", "test_direct_socket", "test_frame_socket", "test_picows_protocol")
"""Tests that depend on the transports of the event loop."""

_ON_BOTH_PROTOCOLS: Final = (
    "test_acs_receiver",
    "test_call_streams",
    "test_media_session",
    "test_media_socket",
    "test_teardown",
)
"""The route must behave equally without our extension, on a WebSocket implementation of uvicorn."""


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop of the services, and for some tests also that of asyncio."""
    if item.path.stem in _ON_BOTH_LOOPS:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "ws" in metafunc.fixturenames and Path(str(metafunc.module.__file__)).stem in _ON_BOTH_PROTOCOLS:
        metafunc.parametrize("ws", ["", "websockets-sansio"], ids=["picows", "websockets"], indirect=True)


@pytest.fixture
def ws(request: pytest.FixtureRequest) -> str:
    """The WebSocket implementation of the gateway; empty: our own."""
    return str(getattr(request, "param", ""))


@pytest.fixture
def start_gateway(redis_url: str, ws: str) -> StartGateway:
    return partial(running_gateway, redis_url, ws)


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> AsyncIterator[Gateway]:
    async with start_gateway() as gateway:
        yield gateway


@pytest.fixture
def open_line(clients: RedisClients, keys: Keys) -> OpenLine:
    return partial(open_line_, clients, keys)


@pytest.fixture
async def line(open_line: OpenLine) -> AsyncIterator[Line]:
    async with open_line("correlation-1") as line:
        yield line
