"""Places of routing rules with real Redis: exact over all replicas, first come, first served."""

from __future__ import annotations

import asyncio
import time

import pytest

from bridge_common.redis.clients import RedisClients, open_clients
from bridge_common.store.call_store import CallStore
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.keys import Keys
from call_control.routing.rule_places import LimitedRule, Place, RulePlaces, places_key

SALES, GOLD = LimitedRule("sales", 2, may_wait=False), LimitedRule("gold", 1, may_wait=True)
TAKEN, QUEUED = Place(0, queued=False), Place(0, queued=True)


@pytest.fixture
def store(clients: RedisClients) -> CallStore:
    return CallStore(clients.control, Keys(1))


@pytest.fixture
def places(clients: RedisClients, store: CallStore) -> RulePlaces:
    return RulePlaces(clients.control, store)


async def test_calls_beyond_the_cap_go_to_the_next_rule(places: RulePlaces) -> None:
    assert await places.take("call_1", [SALES]) == TAKEN
    assert await places.take("call_2", [SALES]) == TAKEN
    assert await places.take("call_3", [SALES]) is None
    assert await places.take("call_3", [SALES, GOLD]) == Place(1, queued=False)
    assert await places.count(["sales", "gold", "other"]) == {"sales": 2, "gold": 1, "other": 0}
    await places.leave("call_1", "sales")
    assert await places.take("call_4", [SALES]) == TAKEN


async def test_a_repeated_event_keeps_its_place_even_if_an_earlier_rule_has_room_now(places: RulePlaces) -> None:
    for call_id in ("call_1", "call_2"):
        await places.take(call_id, [SALES, GOLD])
    assert await places.take("call_3", [SALES, GOLD]) == Place(1, queued=False)
    await places.leave("call_1", "sales")
    for _ in range(2):
        assert await places.take("call_3", [SALES, GOLD]) == Place(1, queued=False)
    assert await places.count(["sales", "gold"]) == {"sales": 1, "gold": 1}


async def test_waiting_calls_get_places_in_the_order_of_their_arrival(places: RulePlaces) -> None:
    assert await places.take("call_9", [GOLD]) == TAKEN
    # Many calls within the same millisecond, with ids in descending order.
    waiting = [f"call_{number}" for number in range(8, 0, -1)]
    assert [await places.take(one, [GOLD]) for one in waiting] == [QUEUED] * 8
    previous = "call_9"
    for number, call_id in enumerate(waiting):
        ready = [one for one in waiting[number:] if await places.has_place(one, "gold", 1)]
        assert ready == []
        await places.leave(previous, "gold")
        assert [one for one in waiting[number:] if await places.has_place(one, "gold", 1)] == [call_id]
        assert await places.take("call_late", [LimitedRule("gold", 1, may_wait=False)]) is None
        previous = call_id


async def test_the_cap_holds_over_all_replicas(redis_url: str, clients: RedisClients) -> None:
    others = [open_clients(redis_url) for _ in range(3)]
    try:
        replicas = [RulePlaces(each.control, CallStore(each.control, Keys(1))) for each in others]
        taken = await asyncio.gather(
            *(
                replicas[number % 3].take(f"call_{number}", [LimitedRule("sales", 7, may_wait=False)])
                for number in range(60)
            )
        )
    finally:
        for each in others:
            await each.aclose()
    assert sorted(place is not None for place in taken) == [False] * 53 + [True] * 7


async def test_a_higher_cap_admits_waiting_calls_and_a_lower_one_disconnects_nobody(places: RulePlaces) -> None:
    for number in range(4):
        await places.take(f"call_{number}", [GOLD])
    assert [await places.has_place(f"call_{number}", "gold", 3) for number in range(4)] == [True, True, True, False]
    assert await places.take("call_9", [LimitedRule("gold", 2, may_wait=False)]) is None


async def test_places_of_calls_that_ended_or_moved_are_freed_when_the_rule_is_full(
    places: RulePlaces, store: CallStore, clients: RedisClients, caplog: pytest.LogCaptureFixture
) -> None:
    rule = LimitedRule("sales", 4, may_wait=False)
    records = [
        CallRecord(call_id="call_ended", status=Status.ENDED, slot="sales"),
        CallRecord(call_id="call_moved", status=Status.RINGING, slot="gold"),
        CallRecord(call_id="call_live", status=Status.CONNECTED, slot="sales"),
    ]
    for record in records:
        await store.create(record)
        assert await places.take(record.call_id, [rule]) == TAKEN
    long_ago = (time.time() - 3600) * 1000
    await clients.control.zadd(places_key("sales"), {"call_lost": long_ago})
    assert await places.take("call_new", [rule]) == TAKEN
    members = await clients.control.zrange(places_key("sales"), 0, -1)
    assert set(members) == {b"call_live", b"call_new"}
    assert "freed places" in caplog.text
    # A call whose record is not written yet keeps its place.
    assert await places.take("call_newer", [LimitedRule("sales", 2, may_wait=False)]) is None


async def test_a_lost_place_is_taken_again(places: RulePlaces, clients: RedisClients) -> None:
    await places.take("call_1", [SALES])
    await clients.control.flushdb()
    assert await places.join("call_1", "sales") == 0
    assert await places.join("call_1", "sales") == 0
    assert await places.count(["sales"]) == {"sales": 1}
    assert 24 * 3600 < await clients.control.ttl(places_key("sales")) <= 26 * 3600
