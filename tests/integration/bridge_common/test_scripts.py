"""The Lua scripts parse on a real server."""

from __future__ import annotations

import pytest

from bridge_common import scripts
from bridge_common.redis_clients import RedisClients

SCRIPTS = {name: text for name, text in vars(scripts).items() if name.isupper() and not name.startswith("_")}


@pytest.mark.parametrize("name", SCRIPTS)
async def test_every_script_parses(clients: RedisClients, name: str) -> None:
    assert len(await clients.control.script_load(SCRIPTS[name])) == 40
