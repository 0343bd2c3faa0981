"""Writing to the inbox on a real server: once for each event, and as the owner of a call."""

from __future__ import annotations

import asyncio

import pytest

from bridge_common.base.errors import OutsideError
from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients
from bridge_common.store.inbox import Delivery, Inbox
from bridge_common.store.inbox_sender import InboxSender
from bridge_common.store.leases import Leases
from bridge_common.wire.entries import InboxEntry, VoiceLost, VoiceReady
from bridge_common.wire.keys import SEEN_TTL_S, Keys
from tests.integration.support.tcp_proxy import TcpProxy

CALL = call_id_of("a")


def ready(epoch: int) -> VoiceReady:
    return VoiceReady(CALL, epoch)


def entries(deliveries: list[Delivery]) -> list[InboxEntry]:
    return [delivery.entry for delivery in deliveries]


@pytest.fixture
def sender(clients: RedisClients, keys: Keys) -> InboxSender:
    return InboxSender(clients.control, keys)


@pytest.fixture
def shaky_sender(shaky_clients: RedisClients, keys: Keys) -> InboxSender:
    return InboxSender(shaky_clients.control, keys)


@pytest.fixture
async def mine(clients: RedisClients, keys: Keys) -> Inbox:
    inbox = Inbox(clients.control, clients.blocking, keys, "worker-1")
    await inbox.ensure_group()
    return inbox


async def test_an_event_is_put_once(sender: InboxSender, mine: Inbox) -> None:
    assert await sender.put_once(ready(1), "event-1", "correlation-1")
    assert not await sender.put_once(ready(2), "event-1", "correlation-1")
    assert not await sender.put_once(ready(3), "event-2", "correlation-1")
    assert not await sender.put_once(ready(4), "event-1", "correlation-2")
    assert await sender.put_once(ready(5), "event-2", "correlation-2")
    assert entries(await mine.read()) == [ready(1), ready(5)]


async def test_of_many_deliveries_of_one_event_one_is_put(sender: InboxSender, mine: Inbox) -> None:
    put = await asyncio.gather(*(sender.put_once(ready(n), "event-1", f"other-{n}") for n in range(20)))
    assert sorted(put) == [False] * 19 + [True]
    assert len(await mine.read()) == 1


async def test_without_event_ids_everything_is_put(sender: InboxSender, mine: Inbox) -> None:
    assert await sender.put_once(ready(1))
    assert await sender.put_once(ready(1))
    assert len(await mine.read()) == 2


async def test_an_event_is_remembered_for_a_day(sender: InboxSender, clients: RedisClients, keys: Keys) -> None:
    await sender.put_once(ready(1), "event-1")
    assert SEEN_TTL_S - 5 < await clients.control.ttl(keys.seen("{s00}", "event-1")) <= SEEN_TTL_S


async def test_an_event_whose_reply_was_lost_is_put_once(
    sender: InboxSender, mine: Inbox, shaky_sender: InboxSender, proxy: TcpProxy
) -> None:
    await shaky_sender.put_once(ready(1), "event-1")
    proxy.lose_replies()
    await shaky_sender.put_once(ready(2), "event-2")
    assert proxy.lost_replies == 1
    assert entries(await mine.read()) == [ready(1), ready(2)]


async def test_an_event_that_could_not_be_put_is_not_remembered(
    sender: InboxSender, mine: Inbox, shaky_sender: InboxSender, proxy: TcpProxy
) -> None:
    proxy.refusing = True
    proxy.cut()
    with pytest.raises(OutsideError) as caught:
        await shaky_sender.put_once(ready(1), "event-1")
    assert caught.value.retry
    assert await sender.put_once(ready(1), "event-1")


async def test_only_the_owner_of_the_lease_writes_for_the_call(
    clients: RedisClients, keys: Keys, sender: InboxSender, mine: Inbox
) -> None:
    old, new = Leases(clients.control, keys, "relay-1"), Leases(clients.control, keys, "relay-2")
    await old.offer(CALL)
    [claim] = await old.claim(1)
    lost = VoiceLost(CALL, claim.epoch, "budget spent")
    assert await sender.put_as_owner(lost, old.owner_text(claim))
    await old.release(claim)
    [taken] = await new.claim(1)
    assert not await sender.put_as_owner(lost, old.owner_text(claim)), "another relay owns the call now"
    assert not await sender.put_as_owner(lost, old.owner_text(taken))
    await new.end(CALL)
    assert not await sender.put_as_owner(lost, new.owner_text(taken)), "the call ended"
    assert [delivery.entry for delivery in await mine.read(block_ms=10)] == [lost]
