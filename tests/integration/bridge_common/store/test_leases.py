"""Leases on a real server: claiming, renewing, losing and handing over calls."""

from __future__ import annotations

import asyncio
import time

import pytest

from bridge_common.base.errors import OutsideError
from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients
from bridge_common.store.call_store import CallStore
from bridge_common.store.leases import Claim, Leases, OverdueLease
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.keys import Keys
from tests.integration.support.tcp_proxy import TcpProxy
from tests.support.eventually import eventually

CALL = call_id_of("a")
LONG_MS = 60_000


@pytest.fixture
def mine(clients: RedisClients, keys: Keys) -> Leases:
    return Leases(clients.control, keys, "relay-1", LONG_MS)


@pytest.fixture
def rival(clients: RedisClients, keys: Keys) -> Leases:
    return Leases(clients.control, keys, "relay-2", LONG_MS)


async def test_an_offered_call_is_claimed_once(mine: Leases, rival: Leases) -> None:
    assert await mine.claim(10) == []
    await mine.offer(CALL)
    [claim] = await mine.claim(10)
    assert claim.call_id == CALL
    assert await rival.claim(10) == []
    assert await mine.claim(10) == []


async def test_an_offer_returns_whether_the_call_is_live(clients: RedisClients, keys: Keys, mine: Leases) -> None:
    store = CallStore(clients.control, keys)
    assert not await mine.offer(CALL), "no such call"
    for status in Status:
        await clients.control.flushdb()
        await store.create(CallRecord(call_id=CALL, status=status))
        assert await mine.offer(CALL) is status.live
        assert len(await mine.claim(1)) == 1


async def test_with_many_rivals_every_call_has_one_owner(clients: RedisClients, keys: Keys) -> None:
    calls = {call_id_of(str(n)) for n in range(60)}
    relays = [Leases(clients.control, keys, f"relay-{n}", LONG_MS) for n in range(8)]
    for call_id in calls:
        await relays[0].offer(call_id)

    async def claim_all(relay: Leases) -> list[str]:
        claimed: list[str] = []
        while claims := await relay.claim(3):
            assert len(claims) <= 3
            claimed += [claim.call_id for claim in claims]
        return claimed

    per_relay = await asyncio.gather(*(claim_all(relay) for relay in relays))
    claimed = [call_id for calls in per_relay for call_id in calls]
    assert sorted(claimed) == sorted(calls)
    assert sum(bool(some) for some in per_relay) > 1


async def test_the_limit_holds_over_all_shards(clients: RedisClients) -> None:
    relay = Leases(clients.control, Keys(shards=4), "relay-1", LONG_MS)
    for n in range(12):
        await relay.offer(call_id_of(str(n)))
    assert len(await relay.claim(5)) == 5
    assert len(await relay.claim(100)) == 7
    assert await relay.claim(0) == []


async def test_offering_again_changes_nothing(mine: Leases, rival: Leases) -> None:
    await mine.offer(CALL)
    [claim] = await mine.claim(1)
    await rival.offer(CALL)
    assert await rival.claim(1) == []
    assert await mine.renew([claim]) == []


async def test_an_expired_lease_goes_to_a_rival_under_a_higher_epoch(
    clients: RedisClients, keys: Keys, rival: Leases
) -> None:
    short = Leases(clients.control, keys, "relay-1", 60)
    await short.offer(CALL)
    [claim] = await short.claim(1)
    [taken] = await eventually(lambda: rival.claim(1))
    assert taken.call_id == CALL
    assert taken.epoch > claim.epoch
    assert await short.renew([claim]) == [claim]
    assert await rival.renew([taken]) == []


async def test_a_renewed_lease_does_not_expire(clients: RedisClients, keys: Keys, rival: Leases) -> None:
    relay = Leases(clients.control, keys, "relay-1", 1000)
    await relay.offer(CALL)
    [claim] = await relay.claim(1)
    until = time.monotonic() + 1.2
    while time.monotonic() < until:
        assert await relay.renew([claim]) == []
        assert await rival.claim(1) == []
        await asyncio.sleep(0.02)


async def test_an_expired_lease_that_was_not_claimed_can_be_renewed(
    clients: RedisClients, keys: Keys, rival: Leases
) -> None:
    """After an outage of Redis the same relay continues."""
    short = Leases(clients.control, keys, "relay-1", 1)
    await short.offer(CALL)
    [claim] = await short.claim(1)
    again = Leases(clients.control, keys, "relay-1", LONG_MS)
    assert await again.renew([claim]) == []
    assert await rival.claim(1) == []


async def test_after_an_outage_of_redis_owners_come_first(clients: RedisClients, keys: Keys) -> None:
    """All leases are overdue at once then; calls without an owner are claimed as usual."""
    owner, rival = (Leases(clients.control, keys, name, 2000) for name in ("relay-1", "relay-2"))
    await owner.offer(CALL)
    [claim] = await owner.claim(1)
    tag = keys.tag(CALL)
    await clients.control.hincrby(keys.owners(tag), ":served", -5000)
    await clients.control.zadd(keys.leases(tag), {CALL: 1})
    assert await rival.claim(10) == []
    await rival.offer(call_id_of("new"))
    assert [one.call_id for one in await rival.claim(1)] == [call_id_of("new")]
    assert await owner.renew([claim]) == []
    assert await rival.claim(10) == []


async def test_after_an_outage_a_call_without_its_owner_is_claimed(clients: RedisClients, keys: Keys) -> None:
    owner, rival = (Leases(clients.control, keys, name, 400) for name in ("relay-1", "relay-2"))
    await owner.offer(CALL)
    [claim] = await owner.claim(1)
    await clients.control.hincrby(keys.owners(keys.tag(CALL)), ":served", -5000)
    await clients.control.zadd(keys.leases(keys.tag(CALL)), {CALL: 1})
    assert await rival.claim(10) == []
    [taken] = await eventually(lambda: rival.claim(10))
    assert taken.epoch > claim.epoch


async def test_renewing_returns_the_lost_claims(mine: Leases) -> None:
    calls = [call_id_of(str(n)) for n in range(6)]
    for call_id in calls:
        await mine.offer(call_id)
    claims = await mine.claim(10)
    await mine.end(calls[2])
    older = [Claim(claim.call_id, claim.epoch - 1) for claim in claims if claim.call_id == calls[4]]
    owned = [claim for claim in claims if claim.call_id not in (calls[2], calls[4])]
    ended = [claim for claim in claims if claim.call_id == calls[2]]
    assert set(await mine.renew([*owned, *ended, *older])) == {*ended, *older}
    assert await mine.renew([]) == []


async def test_renewing_works_over_all_shards(clients: RedisClients) -> None:
    relay = Leases(clients.control, Keys(shards=4), "relay-1", LONG_MS)
    for n in range(12):
        await relay.offer(call_id_of(str(n)))
    claims = await relay.claim(100)
    await relay.end(claims[3].call_id)
    assert await relay.renew(claims) == [claims[3]]


async def test_a_released_call_is_claimed_at_once(mine: Leases, rival: Leases) -> None:
    await mine.offer(CALL)
    [claim] = await mine.claim(1)
    await mine.release(claim)
    [taken] = await rival.claim(1)
    assert taken.epoch > claim.epoch


async def test_a_claim_has_the_uplink_position_of_the_previous_owner(mine: Leases, rival: Leases) -> None:
    other = call_id_of("b")
    for call_id in (CALL, other):
        await mine.offer(call_id)
    claims = await mine.claim(2)
    assert {claim.uplink_cursor for claim in claims} == {"0-0"}
    assert await mine.renew(claims, {CALL: "7-40"}) == []
    assert await mine.renew(claims) == []
    for claim in claims:
        await mine.release(claim, "7-55" if claim.call_id == other else "")
    assert {claim.call_id: claim.uplink_cursor for claim in await rival.claim(2)} == {CALL: "7-40", other: "7-55"}
    await mine.renew(claims, {CALL: "9-1"})
    await rival.end(CALL)
    await mine.offer(CALL)
    [again] = await mine.claim(1)
    assert again.uplink_cursor == "0-0", "an ended call leaves no position, and a relay that lost it writes none"


async def test_a_claim_names_the_previous_owner_that_kept_the_downlink(mine: Leases, rival: Leases) -> None:
    await mine.offer(CALL)
    [first] = await mine.claim(1)
    assert first.previous_owner == ""
    await mine.release(first, keep_downlink=True)
    for other in (rival, rival):
        [claim] = await other.claim(1)
        assert claim.previous_owner == mine.owner_text(first), "also after an owner that never wrote to the downlink"
        await other.release(claim)
    await mine.end(CALL)
    await mine.offer(CALL)
    [again] = await mine.claim(1)
    assert again.previous_owner == "", "its data was deleted"


async def test_the_next_owner_learns_where_the_previous_one_stopped(mine: Leases, rival: Leases) -> None:
    await mine.offer(CALL)
    [first] = await mine.claim(1)
    await mine.release(first, keep_downlink=True)
    [claim] = await rival.claim(1)
    assert await rival.stopped_at(claim) is None
    await mine.note_stop(first, "7-40", "7-12")
    assert await rival.stopped_at(claim) == ("7-40", "7-12")
    await rival.release(claim, keep_downlink=True)
    [later] = await mine.claim(1)
    assert await mine.stopped_at(later) is None, "an earlier owner stored it"
    await mine.end(CALL)
    await mine.note_stop(first, "7-40", "7-12")
    await mine.offer(CALL)
    [next_claim] = await mine.claim(1)
    assert await mine.stopped_at(next_claim) is None, "its data was deleted"


async def test_a_released_call_is_ours_until_it_is_claimed(mine: Leases, rival: Leases) -> None:
    await mine.offer(CALL)
    [claim] = await mine.claim(1)
    await mine.release(claim)
    assert await mine.renew([claim]) == []
    assert await rival.claim(1) == []


async def test_releasing_a_lost_call_changes_nothing(mine: Leases, rival: Leases) -> None:
    await mine.offer(CALL)
    [claim] = await mine.claim(1)
    await mine.release(claim)
    [taken] = await rival.claim(1)
    await mine.release(claim)
    assert await mine.claim(1) == []
    assert await rival.renew([taken]) == []


async def test_an_ended_call_cannot_be_claimed(mine: Leases, rival: Leases) -> None:
    await mine.offer(CALL)
    [claim] = await mine.claim(1)
    await rival.end(CALL)
    assert await mine.renew([claim]) == [claim]
    await mine.release(claim)
    assert await rival.claim(1) == []
    await rival.end(CALL)


async def test_epochs_grow_with_each_owner(mine: Leases, rival: Leases) -> None:
    """This holds even within one millisecond."""
    await mine.offer(CALL)
    epochs = []
    for n in range(40):
        relay = (mine, rival)[n % 2]
        [claim] = await relay.claim(1)
        epochs.append(claim.epoch)
        await relay.release(claim)
    assert epochs == sorted(set(epochs))


async def test_an_epoch_is_not_reused_after_the_call_was_deleted(mine: Leases) -> None:
    await mine.offer(CALL)
    [first] = await mine.claim(1)
    await mine.end(CALL)
    await asyncio.sleep(0.002)
    await mine.offer(CALL)
    [second] = await mine.claim(1)
    assert second.epoch > first.epoch


async def test_an_offer_ends_a_wait(clients: RedisClients, mine: Leases) -> None:
    cursors: dict[str, str] = {}
    await mine.wait_wake(clients.blocking, cursors, 1)
    waiting = asyncio.create_task(mine.wait_wake(clients.blocking, cursors, 1000))
    began = time.monotonic()
    await mine.offer(CALL)
    await waiting
    assert time.monotonic() - began < 0.9


async def test_a_release_ends_a_wait(clients: RedisClients, mine: Leases, rival: Leases) -> None:
    await mine.offer(CALL)
    [claim] = await mine.claim(1)
    cursors: dict[str, str] = {}
    await rival.wait_wake(clients.blocking, cursors, 1000)
    waiting = asyncio.create_task(rival.wait_wake(clients.blocking, cursors, 1000))
    began = time.monotonic()
    await mine.release(claim)
    await waiting
    assert time.monotonic() - began < 0.9


async def test_an_expiring_lease_ends_a_wait(clients: RedisClients, keys: Keys, rival: Leases) -> None:
    """A relay that died sends no notification."""
    mine = Leases(clients.control, keys, "relay-1", 300)
    await mine.offer(CALL)
    [claim] = await mine.claim(1)
    cursors: dict[str, str] = {}
    await rival.wait_wake(clients.blocking, cursors, 1000)
    began = time.monotonic()
    assert await rival.claim(1) == []
    await rival.wait_wake(clients.blocking, cursors, 1000)
    assert [one.call_id for one in await rival.claim(1)] == [claim.call_id]
    assert time.monotonic() - began < 0.9


async def test_calls_left_to_other_relays_are_polled_soon(clients: RedisClients, mine: Leases) -> None:
    for n in range(2):
        await mine.offer(call_id_of(str(n)))
    cursors: dict[str, str] = {}
    await mine.wait_wake(clients.blocking, cursors, 1000)
    assert len(await mine.claim(1)) == 1
    began = time.monotonic()
    await mine.wait_wake(clients.blocking, cursors, 1000)
    assert 0.05 < time.monotonic() - began < 0.9


async def test_an_offer_between_two_waits_is_not_missed(clients: RedisClients, mine: Leases) -> None:
    cursors: dict[str, str] = {}
    await mine.wait_wake(clients.blocking, cursors, 1)
    await mine.offer(CALL)
    began = time.monotonic()
    await mine.wait_wake(clients.blocking, cursors, 1000)
    assert time.monotonic() - began < 0.9


async def test_a_wake_up_ends_one_wait(clients: RedisClients, mine: Leases) -> None:
    await mine.offer(CALL)
    cursors: dict[str, str] = {}
    await mine.wait_wake(clients.blocking, cursors, 1000)
    began = time.monotonic()
    await mine.wait_wake(clients.blocking, cursors, 150)
    assert time.monotonic() - began > 0.1


async def test_claims_of_one_shard_are_not_lost_when_another_fails(clients: RedisClients) -> None:
    keys = Keys(shards=2)
    relay = Leases(clients.control, keys, "relay-1", LONG_MS)
    of_first = next(call_id for n in range(99) if keys.tag(call_id := call_id_of(str(n))) == "{s00}")
    await relay.offer(of_first)
    await clients.control.set(keys.leases("{s01}"), "not a table")
    assert [claim.call_id for claim in await relay.claim(10)] == [of_first]
    with pytest.raises(OutsideError):
        await relay.claim(10)


async def test_an_unreachable_redis_is_to_be_retried(proxy: TcpProxy, shaky_clients: RedisClients, keys: Keys) -> None:
    relay = Leases(shaky_clients.control, keys, "relay-1")
    proxy.refusing = True
    proxy.cut()
    for attempt in (relay.offer(CALL), relay.claim(1), relay.renew([Claim(CALL, 1)]), relay.end(CALL)):
        with pytest.raises(OutsideError) as caught:
            await attempt
        assert caught.value.retry


def test_the_owner_text_contains_the_epoch(mine: Leases) -> None:
    assert mine.owner_text(Claim(CALL, 7)) == "relay-1|7"


async def test_calls_without_a_relay_are_returned_with_their_last_owner(
    clients: RedisClients, keys: Keys, mine: Leases, rival: Leases
) -> None:
    calls = [call_id_of(name) for name in "abc"]
    for call_id in calls:
        await mine.offer(call_id)
    claims = {claim.call_id: claim for claim in await mine.claim(3)}
    assert await rival.overdue(calls) == []
    for call_id in calls[:2]:
        await clients.control.zincrby(keys.leases(keys.tag(call_id)), -LONG_MS - 5000, call_id)
    found = await rival.overdue(calls)
    assert [one.call_id for one in found] == calls[:2]
    assert [one.epoch for one in found] == [claims[call_id].epoch for call_id in calls[:2]]
    assert all(one.since_s is not None and 4 < one.since_s < 60 for one in found)


async def test_a_call_without_a_lease_has_no_relay(mine: Leases) -> None:
    never_offered = call_id_of("a")
    assert await mine.overdue([never_offered]) == [OverdueLease(never_offered, None, "")]


def test_each_call_belongs_to_one_part(clients: RedisClients) -> None:
    parts = Leases(clients.control, Keys(3, spread=True), "relay-1").parts()
    assert len(parts) == 3
    owners = [[part.has(call_id_of(str(number))) for part in parts] for number in range(50)]
    assert all(has.count(True) == 1 for has in owners)
    assert len(set(map(tuple, owners))) == 3
