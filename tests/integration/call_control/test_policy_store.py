"""The policy's key in a real Redis."""

from __future__ import annotations

import pytest

from bridge_common.errors import OutsideError
from bridge_common.keys import ROUTING
from bridge_common.redis_clients import RedisClients, open_clients
from call_control.policy_store import PolicyStore
from lab.redis_server import free_port


async def test_it_is_replaced_only_by_who_saw_what_stands_there(clients: RedisClients) -> None:
    store = PolicyStore(clients.control)
    assert await store.read() == b""
    assert await store.swap(b"", b"one")
    assert await store.swap(b"", b"one"), "sent again after a lost answer"
    assert not await store.swap(b"", b"two")
    assert await store.swap(b"one", b"two")
    assert await store.read() == await clients.control.get(ROUTING) == b"two"


async def test_no_redis() -> None:
    clients = open_clients(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(OutsideError):
        await PolicyStore(clients.control).read()
    await clients.aclose()
