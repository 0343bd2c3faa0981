from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge_common.redis.clients import RedisClients
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import Switchboard, switchboard


@pytest.fixture
async def acs() -> AsyncIterator[ScriptedAcs]:
    async with ScriptedAcs().serving() as acs:
        yield acs


@pytest.fixture
async def board(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> AsyncIterator[Switchboard]:
    async with switchboard(redis_url, clients, acs) as board:
        yield board
