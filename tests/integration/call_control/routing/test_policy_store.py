"""The policy's key in a real Redis."""

from __future__ import annotations

import asyncio
import time

import pytest

from bridge_common.base.errors import OutsideError
from bridge_common.redis.clients import RedisClients, open_clients
from call_control.routing.policy_store import ROUTING, PolicyStore
from lab.ports import free_port


async def test_it_is_replaced_only_by_who_saw_what_stands_there(clients: RedisClients) -> None:
    store = PolicyStore(clients.control, clients.blocking)
    assert await store.read() == b""
    assert await store.swap(b"", b"one")
    assert await store.swap(b"", b"one"), "sent again after a lost answer"
    assert not await store.swap(b"", b"two")
    assert await store.swap(b"one", b"two")
    assert await store.read() == await clients.control.get(ROUTING) == b"two"


async def test_a_replacement_ends_the_wait_also_of_who_was_not_waiting_yet(clients: RedisClients) -> None:
    mine, other = (PolicyStore(clients.control, clients.blocking) for _ in range(2))
    began = time.monotonic()
    await mine.wait(50)
    assert time.monotonic() - began >= 0.05
    assert await other.swap(b"", b"one")
    await mine.wait(1000)
    waiting = asyncio.create_task(mine.wait(1000))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    assert await other.swap(b"one", b"two")
    await waiting
    assert time.monotonic() - began < 1.04


async def test_no_redis() -> None:
    clients = open_clients(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(OutsideError):
        await PolicyStore(clients.control, clients.blocking).read()
    await clients.aclose()
