from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge_common.redis_clients import RedisClients
from scripted_acs import ScriptedAcs
from switchboard import Switchboard, switchboard


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong key is answered at once, except where a test says otherwise."""
    monkeypatch.setattr("call_control.operators.WRONG_KEY_DELAY_S", 0.0)


@pytest.fixture
async def acs() -> AsyncIterator[ScriptedAcs]:
    async with ScriptedAcs().serving() as acs:
        yield acs


@pytest.fixture
async def board(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> AsyncIterator[Switchboard]:
    async with switchboard(redis_url, clients, acs) as board:
        yield board
