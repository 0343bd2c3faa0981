"""The Lua scripts parse on a real server."""

from __future__ import annotations

import pytest

from bridge_common.redis.clients import RedisClients
from bridge_common.store import lease_scripts, scripts

SCRIPTS = {
    name: text
    for module in (scripts, lease_scripts)
    for name, text in vars(module).items()
    if name.isupper() and not name.startswith("_")
}


@pytest.mark.parametrize("name", SCRIPTS)
async def test_every_script_parses(clients: RedisClients, name: str) -> None:
    assert len(await clients.control.script_load(SCRIPTS[name])) == 40
