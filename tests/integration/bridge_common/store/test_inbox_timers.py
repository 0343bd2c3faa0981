"""Timers in the inbox on a real server: each fires once, in order, and the result states when the next one is due."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping

import pytest

from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients
from bridge_common.store.call_store import CallStore, Deadlines
from bridge_common.store.inbox import Delivery, Fired, Inbox
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import Due, InboxEntry
from bridge_common.wire.keys import Keys
from tests.support.eventually import eventually

CALL = call_id_of("a")


async def set_timers(clients: RedisClients, in_ms: Mapping[Due, int], keys: Keys | None = None) -> None:
    """Set timers, each with its own call, because timers are set together with a record."""
    keys = keys or Keys()
    for due, ms in in_ms.items():
        await clients.control.delete(keys.record(due.call_id))
        record = CallRecord(call_id=due.call_id, status=Status.RINGING)
        await CallStore(clients.control, keys).create(record, Deadlines({due: ms}))


def entries(deliveries: list[Delivery]) -> list[InboxEntry]:
    return [delivery.entry for delivery in deliveries]


@pytest.fixture
async def mine(clients: RedisClients, keys: Keys) -> Inbox:
    inbox = Inbox(clients.control, clients.blocking, keys, "worker-1")
    await inbox.ensure_group()
    return inbox


@pytest.fixture
async def rival(clients: RedisClients, keys: Keys) -> Inbox:
    return Inbox(clients.control, clients.blocking, keys, "worker-2")


async def test_a_timer_fires_when_it_is_due(clients: RedisClients, mine: Inbox) -> None:
    due = Due(CALL, "answer", 1)
    await set_timers(clients, {due: 150})
    assert (await mine.fire_due_timers()).count == 0
    await eventually(lambda: _fired(mine))
    assert entries(await mine.read()) == [due]
    assert (await mine.fire_due_timers()).count == 0


async def _fired(inbox: Inbox) -> int:
    return (await inbox.fire_due_timers()).count


async def test_firing_timers_returns_when_the_next_one_is_due(clients: RedisClients, mine: Inbox, rival: Inbox) -> None:
    assert (await mine.fire_due_timers()).next_in_s == math.inf
    await set_timers(clients, {Due(CALL, "later", 1): 60_000})
    assert 59 < (await rival.fire_due_timers()).next_in_s <= 60
    await set_timers(clients, {Due(CALL, "sooner", 1): 200})
    until_sooner_s = (await rival.fire_due_timers()).next_in_s
    assert until_sooner_s <= 0.2
    await asyncio.sleep(until_sooner_s)
    fired = await rival.fire_due_timers()
    assert fired.count == 1
    assert 59 < fired.next_in_s <= 60


async def test_timers_beyond_the_limit_are_due_at_once(clients: RedisClients, mine: Inbox) -> None:
    for n in range(3):
        await set_timers(clients, {Due(CALL, "answer", n): 0})
    assert await mine.fire_due_timers(limit=2) == Fired(2, 0.0)
    assert await mine.fire_due_timers(limit=2) == Fired(1, math.inf)


async def test_two_workers_fire_each_timer_once(clients: RedisClients, mine: Inbox, rival: Inbox) -> None:
    dues = [Due(CALL, "answer", n) for n in range(50)]
    for due in dues:
        await set_timers(clients, {due: 0})
    fired = await asyncio.gather(*(worker.fire_due_timers(limit=7) for worker in [mine, rival] * 8))
    assert sum(one.count for one in fired) == 50
    delivered = entries(await mine.read(count=100))
    assert sorted(due.seq for due in delivered if isinstance(due, Due)) == list(range(50))


async def test_a_timer_set_again_fires_once_and_later(clients: RedisClients, mine: Inbox) -> None:
    await set_timers(clients, {Due(CALL, "answer", 1): 0})
    await set_timers(clients, {Due(CALL, "answer", 1): 60_000})
    await set_timers(clients, {Due(CALL, "answer", 2): 0})
    assert (await mine.fire_due_timers()).count == 1
    assert entries(await mine.read()) == [Due(CALL, "answer", 2)]


async def test_timers_fire_in_the_order_of_their_deadlines(clients: RedisClients) -> None:
    inbox = Inbox(clients.control, clients.blocking, Keys(), "worker-1")
    await inbox.ensure_group()
    await set_timers(clients, {Due(CALL, "second", 1): 20})
    await set_timers(clients, {Due(CALL, "first", 1): -60_000})
    fired = 0

    async def both() -> bool:
        nonlocal fired
        fired += (await inbox.fire_due_timers()).count
        return fired == 2

    await eventually(both)
    assert [entry.timer for entry in entries(await inbox.read()) if isinstance(entry, Due)] == ["first", "second"]


async def test_timers_of_all_shards_fire(clients: RedisClients) -> None:
    inbox = Inbox(clients.control, clients.blocking, Keys(shards=4), "worker-1")
    await inbox.ensure_group()
    await set_timers(clients, {Due(call_id_of(str(n)), "answer", 1): 0 for n in range(10)}, Keys(4))
    assert (await inbox.fire_due_timers()).count == 10
    assert len(await inbox.read()) == 10
