"""Retention of a call's record and transcript, data that is deleted when the call ends, and erasure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients
from bridge_common.store.call_store import CallStore
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import Notice
from bridge_common.wire.keys import LIVE_TTL_S, Keys

CALL = call_id_of("a")
RECORD = CallRecord(call_id=CALL, status=Status.RINGING, created_ms=1_700_000_000_000, caller="4:+14255550100")


@pytest.fixture
def store(clients: RedisClients, keys: Keys) -> CallStore:
    return CallStore(clients.control, keys)


async def test_private_entries_are_deleted_when_the_call_ends(
    store: CallStore, clients: RedisClients, keys: Keys
) -> None:
    await store.create(RECORD)
    await store.append_transcript(CALL, Notice("tones", "12", 1), private=True)
    await store.append_transcript(CALL, Notice("tones", "12", 1), private=True)
    await store.append_transcript(CALL, Notice("keys", "2", 1))
    assert [entry for _, entry in await store.read_transcript(CALL)] == [Notice("keys", "2", 1)]
    assert await store.read_whole_transcript(CALL) == [Notice("tones", "12", 1), Notice("keys", "2", 1)]
    await store.end_streams(CALL, "hung up")
    await store.append_transcript(CALL, Notice("tones", "34", 2), private=True)
    await store.append_transcript(CALL, Notice("keys", "2", 2))
    assert await store.read_whole_transcript(CALL) == [Notice("keys", "2", 1), Notice("keys", "2", 2)]


async def test_record_and_transcript_have_their_own_retention(clients: RedisClients, keys: Keys) -> None:
    store = CallStore(clients.control, keys, record_s=1000, transcript_s=100)
    await store.create(RECORD)
    await store.end_streams(CALL, "hung up")
    # The transcript begins only now.
    await store.append_transcript(CALL, Notice("late", "", 1))
    assert 990 < await clients.control.ttl(keys.record(CALL)) <= 1000
    assert 90 < await clients.control.ttl(keys.transcript(CALL)) <= 100
    longer = CallStore(clients.control, keys, record_s=50, transcript_s=100)
    await longer.end_streams(CALL, "hung up")
    assert 0 < await clients.control.ttl(keys.transcript(CALL)) <= 50, "never longer than the record"


async def test_a_transcript_without_retention_is_deleted_with_the_call(clients: RedisClients, keys: Keys) -> None:
    store = CallStore(clients.control, keys, transcript_s=0)
    await store.create(RECORD)
    await store.append_transcript(CALL, Notice("a", "", 1))
    await store.end_streams(CALL, "hung up")
    await store.append_transcript(CALL, Notice("late", "", 2))
    assert not await clients.control.exists(keys.transcript(CALL))


async def test_an_erased_call_stays_erased(store: CallStore, clients: RedisClients, keys: Keys) -> None:
    ended = replace(RECORD, status=Status.ENDED)
    await store.create(ended)
    await store.append_transcript(CALL, Notice("a", "", 1))
    assert not await store.erase(replace(ended, version=7)), "changed meanwhile"
    assert await store.load(CALL) == ended
    assert await store.erase(ended)
    assert await clients.control.keys() == [keys.erased(CALL).encode()]
    assert 0 < await clients.control.ttl(keys.erased(CALL)) <= LIVE_TTL_S
    assert not await store.create(ended)
    assert not await store.restore(ended, "relay|1")
    await store.append_transcript(CALL, Notice("b", "", 2))
    assert await clients.control.keys() == [keys.erased(CALL).encode()]
