"""The inbox on a real server: no entry is lost when a process or a connection dies, and none is repeated needlessly."""

from __future__ import annotations

import asyncio
import time

import pytest

from bridge_common.base.errors import OutsideError
from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients, command
from bridge_common.store.inbox import Delivery, Inbox, InboxTiming
from bridge_common.wire.entries import Clear, HangUp, InboxEntry, VoiceReady
from bridge_common.wire.entry_codec import encode
from bridge_common.wire.keys import INBOX_GROUP, Keys
from tests.integration.support.tcp_proxy import TcpProxy
from tests.support.eventually import eventually

CALL = call_id_of("a")
OTHER = call_id_of("b")


def ready(epoch: int, call_id: str = CALL) -> VoiceReady:
    return VoiceReady(call_id, epoch)


def entries(deliveries: list[Delivery]) -> list[InboxEntry]:
    return [delivery.entry for delivery in deliveries]


@pytest.fixture
async def mine(clients: RedisClients, keys: Keys) -> Inbox:
    inbox = Inbox(clients.control, clients.blocking, keys, "worker-1")
    await inbox.ensure_group()
    return inbox


@pytest.fixture
async def rival(clients: RedisClients, keys: Keys, mine: Inbox) -> Inbox:
    return Inbox(clients.control, clients.blocking, keys, "worker-2")


@pytest.fixture
async def shaky(shaky_clients: RedisClients, keys: Keys, mine: Inbox) -> Inbox:
    """`worker-1` behind the proxy."""
    return Inbox(shaky_clients.control, shaky_clients.blocking, keys, "worker-1")


async def pending(clients: RedisClients, keys: Keys) -> int:
    summary: dict[str, int] = await command(clients.control, "XPENDING", keys.inbox("{s00}"), INBOX_GROUP)
    return summary["pending"]


# -- putting and reading --------------------------------------------------------------------------------------------
async def test_entries_are_delivered_once_and_in_order(mine: Inbox, rival: Inbox) -> None:
    for n in range(5):
        await mine.put(ready(n))
    first = await mine.read(count=3)
    second = await rival.read()
    assert entries(first) == [ready(0), ready(1), ready(2)]
    assert entries(second) == [ready(3), ready(4)]
    assert await mine.read(block_ms=1) == []


async def test_acknowledged_entries_are_deleted(mine: Inbox, clients: RedisClients, keys: Keys) -> None:
    await mine.put(ready(1))
    [delivery] = await mine.read()
    assert await pending(clients, keys) == 1
    await mine.ack(delivery)
    assert await pending(clients, keys) == 0
    assert await clients.control.xlen(keys.inbox("{s00}")) == 0


async def test_a_read_waits_for_the_first_entry(mine: Inbox, rival: Inbox) -> None:
    reading = asyncio.create_task(mine.read(block_ms=1000))
    began = time.monotonic()
    await rival.put(ready(1))
    assert entries(await reading) == [ready(1)]
    assert time.monotonic() - began < 0.9


@pytest.mark.parametrize("block_ms", [0, 1, 30])
async def test_an_empty_read_ends_in_time(mine: Inbox, block_ms: int) -> None:
    """BLOCK 0 would block forever."""
    began = time.monotonic()
    assert await mine.read(block_ms=block_ms) == []
    assert time.monotonic() - began < 0.9


async def test_all_shards_are_read(clients: RedisClients) -> None:
    inbox = Inbox(clients.control, clients.blocking, Keys(shards=4), "worker-1")
    await inbox.ensure_group()
    calls = {call_id_of(str(n)) for n in range(20)}
    for call_id in calls:
        await inbox.put(ready(1, call_id))
    deliveries = await inbox.read()
    assert {delivery.entry.call_id for delivery in deliveries} == calls
    for delivery in deliveries:
        await inbox.ack(delivery)
    assert await inbox.claim_orphans({"nobody"}) == []


async def test_entries_older_than_the_group_are_delivered(clients: RedisClients, keys: Keys) -> None:
    inbox = Inbox(clients.control, clients.blocking, keys, "worker-1")
    await inbox.put(ready(1))
    await inbox.ensure_group()
    await inbox.ensure_group()
    assert entries(await inbox.read()) == [ready(1)]


async def test_the_group_is_created_again_after_redis_lost_its_data(mine: Inbox, clients: RedisClients) -> None:
    await clients.control.flushall()
    assert await mine.claim_orphans({"worker-1"}) == []
    assert await mine.read(block_ms=1) == []
    await mine.put(ready(1))
    assert entries(await mine.read()) == [ready(1)]


async def test_an_entry_put_into_an_empty_redis_is_delivered_by_the_new_group(
    mine: Inbox, clients: RedisClients
) -> None:
    await clients.control.flushall()
    await mine.put(ready(1))
    assert await mine.read(block_ms=1) == []
    assert entries(await mine.read()) == [ready(1)]


async def test_creating_the_group_on_a_key_of_another_type_is_an_error(clients: RedisClients, keys: Keys) -> None:
    await clients.control.set(keys.inbox("{s00}"), "text")
    with pytest.raises(OutsideError) as caught:
        await Inbox(clients.control, clients.blocking, keys, "worker-1").ensure_group()
    assert not caught.value.retry


async def test_malformed_entries_are_acknowledged_and_valid_ones_delivered(
    mine: Inbox, clients: RedisClients, keys: Keys
) -> None:
    inbox = keys.inbox("{s00}")
    no_inbox_entry = encode(Clear("item"))
    for name, bad in (("e", b"\xc1"), ("other", b"1"), ("e", no_inbox_entry), ("e", b"\x91\xcd\x03\xe7")):
        await clients.control.xadd(inbox, {name: bad})
        await mine.put(ready(1))
    assert entries(await mine.read()) == [ready(1)] * 4
    assert await pending(clients, keys) == 4
    assert await clients.control.xlen(inbox) == 4


# -- lost replies ---------------------------------------------------------------------------------------------------
async def test_entries_of_a_lost_reply_are_delivered_by_the_next_read(
    mine: Inbox, shaky: Inbox, proxy: TcpProxy
) -> None:
    await mine.put(ready(1))
    [held] = await shaky.read()
    await mine.put(ready(2))
    await mine.put(ready(3))
    proxy.lose_replies()
    with pytest.raises(OutsideError):
        await shaky.read()
    await mine.put(ready(4))
    assert entries(await shaky.read()) == [ready(2), ready(3)]
    assert entries(await shaky.read()) == [ready(4)]
    await shaky.ack(held)


async def test_entries_of_a_cancelled_read_are_delivered_by_the_next_read(
    mine: Inbox, shaky: Inbox, proxy: TcpProxy, clients: RedisClients, keys: Keys
) -> None:
    proxy.silent = True
    reading = asyncio.create_task(shaky.read())
    await mine.put(ready(1))
    await eventually(lambda: pending(clients, keys))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    proxy.silent = False
    assert entries(await shaky.read()) == [ready(1)]


async def test_lost_entries_are_read_in_pages(mine: Inbox, shaky: Inbox, proxy: TcpProxy) -> None:
    for n in range(10):
        await mine.put(ready(n))
    held = await shaky.read(count=10)
    for n in range(10, 260):
        await mine.put(ready(n))
    proxy.lose_replies()
    with pytest.raises(OutsideError):
        await shaky.read(count=250)
    assert entries(await shaky.read()) == [ready(n) for n in range(10, 260)]
    assert len(held) == 10


# -- orphans --------------------------------------------------------------------------------------------------------
async def test_pending_entries_are_claimed_from_dead_consumers_only(mine: Inbox, rival: Inbox) -> None:
    await mine.put(ready(1))
    [delivery] = await mine.read()
    assert await rival.claim_orphans({"worker-1", "worker-2"}) == []
    claimed = await eventually(lambda: rival.claim_orphans({"worker-2"}))
    assert claimed == [delivery]
    await rival.ack(claimed[0])
    assert await rival.claim_orphans({"worker-2"}) == []


async def test_of_two_claimants_one_gets_the_entry(
    mine: Inbox, rival: Inbox, clients: RedisClients, keys: Keys
) -> None:
    third = Inbox(clients.control, clients.blocking, keys, "worker-3")
    for n in range(10):
        await mine.put(ready(n))
    await mine.read()
    got: list[Delivery] = []

    async def all_claimed() -> bool:
        for some in await asyncio.gather(rival.claim_orphans({"worker-2"}), third.claim_orphans({"worker-3"})):
            got.extend(some)
        return bool(got)

    await eventually(all_claimed)
    assert sorted(delivery.entry_id for delivery in got) == sorted({delivery.entry_id for delivery in got})
    assert len(got) == 10


async def test_a_worker_does_not_claim_its_own_entries(mine: Inbox) -> None:
    """Its heartbeat may be late while it processes them."""
    await mine.put(ready(1))
    await mine.read()
    until = time.monotonic() + 0.4
    while time.monotonic() < until:
        assert await mine.claim_orphans(set()) == []
        await asyncio.sleep(0.05)


async def test_without_pending_entries_there_are_no_orphans(mine: Inbox, rival: Inbox, clients: RedisClients) -> None:
    await mine.put(ready(1))
    assert not await rival.has_pending()
    [delivery] = await mine.read()
    assert await rival.has_pending()
    await mine.ack(delivery)
    assert not await rival.has_pending()
    await clients.control.flushdb()
    assert not await rival.has_pending(), "no group either"


async def test_orphans_are_found_behind_many_entries_of_live_consumers(mine: Inbox, rival: Inbox) -> None:
    for n in range(300):
        await mine.put(ready(n))
    await rival.read(count=299)
    assert len(await mine.read()) == 1
    claimed = await eventually(lambda: rival.claim_orphans({"worker-2"}, count=2))
    assert entries(claimed) == [ready(299)]


async def test_orphans_are_claimed_up_to_the_limit(mine: Inbox, rival: Inbox) -> None:
    for n in range(10):
        await mine.put(ready(n))
    await mine.read()
    assert len(await eventually(lambda: rival.claim_orphans({"worker-2"}, count=3))) == 3


async def test_an_entry_is_claimed_from_a_stuck_live_worker(mine: Inbox, clients: RedisClients, keys: Keys) -> None:
    timing = InboxTiming(stuck_ms=250)
    rival = Inbox(clients.control, clients.blocking, keys, "worker-2", timing=timing)
    await mine.put(ready(1))
    await mine.read()
    assert entries(await eventually(lambda: rival.claim_orphans({"worker-1", "worker-2"}))) == [ready(1)]


async def test_an_entry_trimmed_while_pending_is_dropped(
    mine: Inbox, rival: Inbox, clients: RedisClients, keys: Keys
) -> None:
    await mine.put(ready(1))
    [delivery] = await mine.read()
    await clients.control.xdel(keys.inbox("{s00}"), delivery.entry_id)

    async def dropped() -> bool:
        assert await rival.claim_orphans({"worker-2"}) == []
        return await pending(clients, keys) == 0

    await eventually(dropped)


async def test_every_kind_of_inbox_entry_is_delivered(mine: Inbox) -> None:
    await mine.put(HangUp(OTHER, "operator", "asked to"))
    [delivery] = await mine.read()
    assert delivery.entry == HangUp(OTHER, "operator", "asked to")
    assert delivery.tag == "{s00}"
