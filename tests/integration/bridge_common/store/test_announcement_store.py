"""Announcements of a call on a real server."""

from __future__ import annotations

import dataclasses

import pytest

from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients, command
from bridge_common.store.announcement_store import Added, AnnouncementOutcome, AnnouncementStore
from bridge_common.store.call_store import CallStore
from bridge_common.store.leases import Claim, Leases
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import Say
from bridge_common.wire.entry_codec import decode
from bridge_common.wire.keys import ENDED_TTL_S, LIVE_TTL_S, SAY_LENGTH, Keys

CALL = call_id_of("a")
FIRST = Say("say_1", 0, "Good morning. ")
RECORD = CallRecord(call_id=CALL, status=Status.RINGING, created_ms=1_700_000_000_000)


@pytest.fixture
def says(clients: RedisClients, keys: Keys) -> AnnouncementStore:
    return AnnouncementStore(clients.control, keys)


@pytest.fixture
def calls(clients: RedisClients, keys: Keys) -> CallStore:
    return CallStore(clients.control, keys)


@pytest.fixture
def leases(clients: RedisClients, keys: Keys) -> Leases:
    return Leases(clients.control, keys, "relay-1")


async def pieces(clients: RedisClients, keys: Keys) -> list[tuple[str, object]]:
    stored: list[tuple[bytes, dict[bytes, bytes]]] = await command(clients.control, "XRANGE", keys.say(CALL), "-", "+")
    return [(entry_id.decode(), decode(content[b"e"])) for entry_id, content in stored]


async def claimed(leases: Leases) -> Claim:
    await leases.offer(CALL)
    [claim] = await leases.claim(1)
    return claim


async def test_pieces_are_stored_in_order_and_wake_the_relays_once(
    clients: RedisClients, keys: Keys, says: AnnouncementStore, calls: CallStore, leases: Leases
) -> None:
    await calls.create(RECORD)
    assert not await says.waits(CALL)
    cursors: dict[str, str] = {}
    await leases.wait_wake(clients.blocking, cursors, 1)
    second = Say("say_1", 14, "Hello.", last=True)
    for piece in (FIRST, second):
        assert await says.add(CALL, piece, most_a_minute=5) == Added(AnnouncementOutcome.ADDED)
    assert [piece for _, piece in await pieces(clients, keys)] == [FIRST, second]
    assert await leases.wait_wake(clients.blocking, cursors, 500) == [CALL]
    assert await leases.wait_wake(clients.blocking, cursors, 1) == []
    assert await says.waits(CALL)
    assert 0 < await clients.control.ttl(keys.say(CALL)) <= LIVE_TTL_S


async def test_a_call_that_is_not_live_accepts_no_announcement(says: AnnouncementStore, calls: CallStore) -> None:
    assert (await says.add(CALL, FIRST, most_a_minute=5)).outcome is AnnouncementOutcome.UNKNOWN
    await calls.create(RECORD)
    await calls.save(RECORD, dataclasses.replace(RECORD, status=Status.ENDED))
    assert (await says.add(CALL, FIRST, most_a_minute=5)).outcome is AnnouncementOutcome.ENDED
    assert not await says.waits(CALL)


async def test_announcements_expire_with_the_call(
    clients: RedisClients, keys: Keys, says: AnnouncementStore, calls: CallStore
) -> None:
    await calls.create(RECORD)
    await says.add(CALL, FIRST, most_a_minute=5)
    await calls.end_streams(CALL, "caller hung up")
    assert 0 < await clients.control.ttl(keys.say(CALL)) <= ENDED_TTL_S


async def test_limit_of_announcements_per_minute(says: AnnouncementStore, calls: CallStore) -> None:
    await calls.create(RECORD)
    outcomes = [await says.add(CALL, Say(f"say_{n}", 0, "Yes."), most_a_minute=2) for n in range(6)]
    # A minute may have turned between two of them.
    assert outcomes[:2] == [Added(AnnouncementOutcome.ADDED)] * 2
    assert any(added.outcome is AnnouncementOutcome.OFTEN and 0 < added.retry_ms <= 60_000 for added in outcomes)
    assert (await says.add(CALL, Say("say_0", 4, " More."), most_a_minute=2)).outcome is AnnouncementOutcome.ADDED, (
        "it was accepted before"
    )


async def test_limit_of_waiting_pieces(
    clients: RedisClients, keys: Keys, says: AnnouncementStore, calls: CallStore, leases: Leases
) -> None:
    await calls.create(RECORD)
    async with clients.control.pipeline(transaction=False) as pipe:
        for _ in range(SAY_LENGTH):
            pipe.xadd(keys.say(CALL), {"e": "x"})
        await pipe.execute()
    assert (await says.add(CALL, FIRST, most_a_minute=5)).outcome is AnnouncementOutcome.FULL
    claim = await claimed(leases)
    newest = (await command(clients.control, "XREVRANGE", keys.say(CALL), "+", "-", "COUNT", 1))[0][0].decode()
    await says.note_said(claim, leases.owner_text(claim), said="say_0:9", dropped="", keep_from=newest)
    assert (await says.add(CALL, FIRST, most_a_minute=5)).outcome is AnnouncementOutcome.ADDED


async def test_only_the_owner_of_the_call_stores_the_progress(
    clients: RedisClients, keys: Keys, says: AnnouncementStore, calls: CallStore, leases: Leases
) -> None:
    await calls.create(RECORD)
    await says.add(CALL, FIRST, most_a_minute=5)
    claim = await claimed(leases)
    assert await says.note_said(claim, leases.owner_text(claim), said="say_1:14", dropped="", keep_from="")
    record = await calls.load(CALL)
    assert record is not None
    assert record.said == "say_1:14"
    assert len(await pieces(clients, keys)) == 1
    assert not await says.note_said(claim, "relay-2|9", said="say_1:99", dropped="say_1", keep_from="")
    assert (await says.add(CALL, Say("say_1", 14, "On."), most_a_minute=5)).outcome is AnnouncementOutcome.ADDED


async def test_an_interrupted_announcement_accepts_no_further_pieces(
    says: AnnouncementStore, calls: CallStore, leases: Leases
) -> None:
    await calls.create(RECORD)
    await says.add(CALL, FIRST, most_a_minute=5)
    claim = await claimed(leases)
    await says.note_said(claim, leases.owner_text(claim), said="say_1:14", dropped="say_9 say_1", keep_from="")
    assert (await says.add(CALL, Say("say_1", 14, "On."), most_a_minute=5)).outcome is AnnouncementOutcome.INTERRUPTED
    assert (await says.add(CALL, Say("say_2", 0, "New."), most_a_minute=5)).outcome is AnnouncementOutcome.ADDED
