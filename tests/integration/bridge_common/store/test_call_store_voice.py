"""Fields that a relay writes into the record of its call, on a real server: only while it owns the call, and once."""

from __future__ import annotations

import asyncio

import pytest

from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients
from bridge_common.store.call_store import CallStore
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import VoiceReady
from bridge_common.wire.keys import Keys
from tests.integration.support.tcp_proxy import TcpProxy

CALL = call_id_of("a")
RECORD = CallRecord(call_id=CALL, status=Status.RINGING, created_ms=1_700_000_000_000)


@pytest.fixture
def store(clients: RedisClients, keys: Keys) -> CallStore:
    return CallStore(clients.control, keys)


@pytest.fixture
def shaky_store(shaky_clients: RedisClients, keys: Keys) -> CallStore:
    return CallStore(shaky_clients.control, keys)


async def test_only_the_owner_of_the_lease_stores_its_voice_session(
    store: CallStore, clients: RedisClients, keys: Keys
) -> None:
    await store.create(RECORD)
    mine, rival = Leases(clients.control, keys, "relay-1"), Leases(clients.control, keys, "relay-2")
    await mine.offer(CALL)
    [claim] = await mine.claim(1)
    inbox = Inbox(clients.control, clients.blocking, keys, "worker-1")
    await inbox.ensure_group()
    noted = {"conversation_id": "conv-1", "voice_session_id": "sess-1", "voice_resource": "res-1"}
    assert await store.note_voice(claim, mine.owner_text(claim), **noted, announced=False)
    assert await store.note_voice(claim, mine.owner_text(claim), **noted, announced=True)
    await mine.release(claim)
    [taken] = await rival.claim(1)
    late = {"conversation_id": "conv-2", "voice_session_id": "sess-2", "voice_resource": "res-2"}
    assert not await store.note_voice(claim, mine.owner_text(claim), **late, announced=False)
    assert not await store.note_voice(taken, mine.owner_text(taken), **late, announced=False)
    loaded = await store.load(CALL)
    assert loaded is not None
    assert (loaded.conversation_id, loaded.voice_session_id) == ("conv-1", "sess-1")
    assert (loaded.voice_resource, loaded.voice_epoch) == ("res-1", claim.epoch)
    assert await store.note_voice(taken, rival.owner_text(taken), **late, announced=False)
    assert loaded.version == 0
    notified = [delivery.entry for delivery in await inbox.read()]
    assert notified == [VoiceReady(CALL, claim.epoch), VoiceReady(CALL, taken.epoch)], (
        "once each, by the owners of the lease only"
    )


async def test_storing_a_voice_session_creates_no_record(store: CallStore, clients: RedisClients, keys: Keys) -> None:
    relay = Leases(clients.control, keys, "relay-1")
    await relay.offer(CALL)
    [claim] = await relay.claim(1)
    noted = {"conversation_id": "c", "voice_session_id": "s", "voice_resource": "r"}
    assert not await store.note_voice(claim, relay.owner_text(claim), **noted, announced=False)
    assert await store.load(CALL) is None


async def test_one_relay_plays_the_greeting(store: CallStore) -> None:
    await store.create(RECORD)
    assert sorted(await asyncio.gather(*(store.mark_greeted(CALL) for _ in range(10)))) == [False] * 9 + [True]


async def test_a_relay_whose_reply_was_lost_still_plays_the_greeting(shaky_store: CallStore, proxy: TcpProxy) -> None:
    assert not await shaky_store.mark_greeted(CALL)
    await shaky_store.create(RECORD)
    proxy.lose_replies()
    assert await shaky_store.mark_greeted(CALL)
    assert proxy.lost_replies == 1
    assert not await shaky_store.mark_greeted(CALL)
