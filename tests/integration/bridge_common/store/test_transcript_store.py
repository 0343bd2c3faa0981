"""Transcripts on a real server."""

from __future__ import annotations

import pytest

from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients
from bridge_common.store.transcript_store import TranscriptStore
from bridge_common.wire.entries import Notice, Opened, TranscriptEntry, Turn
from bridge_common.wire.entry_codec import encode
from bridge_common.wire.keys import LIVE_TTL_S, Keys
from tests.integration.support.tcp_proxy import TcpProxy

CALL = call_id_of("a")


@pytest.fixture
def store(clients: RedisClients, keys: Keys) -> TranscriptStore:
    return TranscriptStore(clients.control, keys)


@pytest.fixture
def shaky_store(shaky_clients: RedisClients, keys: Keys) -> TranscriptStore:
    return TranscriptStore(shaky_clients.control, keys)


async def test_the_transcript_keeps_its_order(store: TranscriptStore) -> None:
    said: list[TranscriptEntry] = [
        Turn("agent", "i1", "Hello", 1),
        Turn("caller", "i2", "Hi", 2),
        Notice("tone", "5", 3),
    ]
    for entry in said:
        await store.append_transcript(CALL, entry)
    read = await store.read_transcript(CALL)
    assert [entry for _, entry in read] == said
    ids = [tuple(map(int, entry_id.split("-"))) for entry_id, _ in read]
    assert ids == sorted(ids)


async def test_the_transcript_of_an_unknown_call_is_empty(store: TranscriptStore) -> None:
    assert await store.read_transcript(CALL) == []


async def test_a_turn_whose_reply_was_lost_is_stored_once(shaky_store: TranscriptStore, proxy: TcpProxy) -> None:
    await shaky_store.append_transcript(CALL, Turn("agent", "i1", "Hello", 1))
    proxy.lose_replies()
    await shaky_store.append_transcript(CALL, Turn("caller", "i2", "Hi", 2))
    assert proxy.lost_replies == 1
    assert [entry for _, entry in await shaky_store.read_transcript(CALL)] == [
        Turn("agent", "i1", "Hello", 1),
        Turn("caller", "i2", "Hi", 2),
    ]


async def test_one_bad_entry_does_not_hide_a_transcript(
    store: TranscriptStore, clients: RedisClients, keys: Keys
) -> None:
    await store.append_transcript(CALL, Notice("a", "", 1))
    for name, bad in (("e", b"\xc1"), ("other", b""), ("e", encode(Opened()))):
        await clients.control.xadd(keys.transcript(CALL), {name: bad})
    await store.append_transcript(CALL, Notice("b", "", 2))
    assert [entry for _, entry in await store.read_transcript(CALL)] == [Notice("a", "", 1), Notice("b", "", 2)]


async def test_a_transcript_expires_and_its_expiry_is_not_extended(
    store: TranscriptStore, clients: RedisClients, keys: Keys
) -> None:
    await store.append_transcript(CALL, Notice("a", "", 1))
    assert 0 < await clients.control.ttl(keys.transcript(CALL)) <= LIVE_TTL_S
    await clients.control.expire(keys.transcript(CALL), 50)
    await store.append_transcript(CALL, Notice("b", "", 2))
    assert 0 < await clients.control.ttl(keys.transcript(CALL)) <= 50
