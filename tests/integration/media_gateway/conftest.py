from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest

from bridge_common.keys import Keys
from bridge_common.redis_clients import RedisClients
from media_line import Gateway, Line, OpenLine, StartGateway, running_gateway
from media_line import open_line as open_line_


@pytest.fixture
def start_gateway(redis_url: str) -> StartGateway:
    return partial(running_gateway, redis_url)


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
