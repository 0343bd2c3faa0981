"""The Lua scripts parse on a real server."""

from __future__ import annotations

import pytest

from bridge_common.redis.clients import RedisClients
from tests.support.lua_scripts import SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
async def test_every_script_parses(clients: RedisClients, name: str) -> None:
    assert len(await clients.control.script_load(SCRIPTS[name])) == 40
