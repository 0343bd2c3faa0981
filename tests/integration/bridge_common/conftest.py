"""Redis behind a proxy, for faults between a client and the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from bridge_common.redis.clients import RedisClients, open_clients
from tests.integration.support.tcp_proxy import TcpProxy, tcp_proxy


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[TcpProxy]:
    port = urlsplit(redis_url).port
    assert port is not None
    async with tcp_proxy(port) as proxy:
        yield proxy


@pytest.fixture
async def shaky_clients(proxy: TcpProxy) -> AsyncIterator[RedisClients]:
    """The three clients, connected through the proxy."""
    clients = open_clients(f"redis://127.0.0.1:{proxy.port}/0")
    for client in (clients.media, clients.blocking, clients.control):
        await client.ping()
    yield clients
    await clients.aclose()
