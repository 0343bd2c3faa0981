"""Rules with `max_calls` and `wait`, with workers of two replicas, a real Redis and replicas that die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import HangUp, Restored, VoiceLost, VoiceReady
from call_control.acs_client import AcsClient, MediaFormat
from call_control.core.connection_string import parse_connection_string
from call_control.core.machine.transition import CallPolicy
from call_control.core.policy.policy_text import decode_policy
from call_control.core.policy.routing import Routing
from call_control.routing.rule_places import LimitedRule
from tests.integration.support.dying_effects import DyingEffects
from tests.integration.support.inbox_replica import Replica, arrival
from tests.support.eventually import eventually
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import PhoneCall

HUMANS = "4:+18005550000"
QUICK = CallPolicy(place_ms=50, claim_ms=100, offer_again_ms=100)


def limited(**rule: object) -> Routing:
    rules = [{"name": "sales", "agent": "sales", "max_calls": 1, **rule}, {"name": "rest", "redirect": "human_agents"}]
    return Routing(policy=decode_policy({"human_agents": {"phone": "+18005550000"}, "rules": rules}))


@pytest.fixture
async def client(acs: ScriptedAcs) -> AsyncIterator[AcsClient]:
    client = AcsClient(parse_connection_string(acs.connection_string), MediaFormat("pcm16k", "unmixed"))
    yield client
    await client.aclose()


def replicas_of(clients: RedisClients, client: AcsClient, routing: Routing) -> tuple[Replica, Replica]:
    first, second = (Replica(name, clients, client, QUICK, routing) for name in ("first", "second"))
    return first, second


async def ring(replica: Replica) -> PhoneCall:
    call = PhoneCall()
    await replica.inbox.put_once(arrival(call), call.call_id)
    return call


async def has(replica: Replica, call: PhoneCall, *statuses: Status, rule: str = "sales") -> CallRecord:
    async def reached() -> CallRecord | None:
        record = await replica.store.load(call.call_id)
        return record if record is not None and record.status in statuses and record.route == rule else None

    record = await eventually(reached, what=f"the call is {statuses} by rule {rule}")
    assert record is not None
    return record


async def offered(replica: Replica, call: PhoneCall) -> int:
    """Claim the call as a relay. Return its epoch."""

    async def claimed() -> int:
        return next((claim.epoch for claim in await replica.leases.claim(10) if claim.call_id == call.call_id), 0)

    return await eventually(claimed, what="the call is offered to the relays")


async def answer(replica: Replica, call: PhoneCall) -> None:
    await replica.inbox.put(VoiceReady(call.call_id, await offered(replica, call)))
    await has(replica, call, Status.ANSWERING)


async def hang_up(replica: Replica, call: PhoneCall) -> None:
    await replica.inbox.put(HangUp(call.call_id, "operator", ""))


async def test_a_call_above_the_cap_follows_the_next_rule(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient
) -> None:
    first, second = replicas_of(clients, client, limited())
    async with first.working(), second.working():
        call = await ring(first)
        await answer(first, call)
        above = await has(first, await ring(first), Status.ENDED, rule="rest")
        assert above.route_reason == "redirect (not sales: full, max_calls 1)"
        assert (above.end_reason, above.slot, acs.done["redirect"]) == ("redirected", "", 1)
        await hang_up(first, call)
        await has(first, call, Status.ENDING, Status.ENDED)
        await answer(first, await ring(first))


async def test_a_waiting_call_gets_the_place_of_a_call_that_ends(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient
) -> None:
    first, second = replicas_of(clients, client, limited(wait=15))
    async with first.working(), second.working():
        calls = [await ring(first) for _ in range(1)]
        await answer(first, calls[0])
        for _ in range(2):
            calls.append(await ring(first))
            await has(first, calls[-1], Status.RINGING)
        assert await first.places.count(["sales"]) == {"sales": 3}
        assert await first.leases.claim(10) == [], "waiting calls are not offered"
        # The second caller gives up; the third one has the place at once when the first call ends.
        await hang_up(first, calls[1])
        await has(first, calls[1], Status.DIVERTING, Status.ENDED)
        await hang_up(first, calls[0])
        await answer(first, calls[2])

        async def only_one() -> bool:
            return await first.places.count(["sales"]) == {"sales": 1}

        await eventually(only_one, what="ended calls leave nothing behind")


async def test_a_wait_that_is_over_leads_to_the_next_rule(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient
) -> None:
    first, second = replicas_of(clients, client, limited(wait=1))
    async with first.working(), second.working():
        await answer(first, await ring(first))
        over = await has(first, await ring(first), Status.ENDED, rule="rest")
        assert over.route_reason == "redirect (not sales: no agent was ready within its wait)"
        assert over.end_reason == "redirected"
        assert 900 <= over.ended_ms - over.created_ms < 5_000

        async def only_one() -> bool:
            return await first.places.count(["sales"]) == {"sales": 1}

        await eventually(only_one)
        # Without any free relay, the call waits for one as long, and then follows the next rule as well.
    async with second.working():
        await clients.control.flushdb()
        unclaimed = await ring(second)
        assert (await has(second, unclaimed, Status.ENDED, rule="rest")).end_reason == "redirected"
        assert await second.leases.claim(10) == []


async def test_a_relay_without_voice_session_gives_the_call_back(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient
) -> None:
    first, _ = replicas_of(clients, client, limited(wait=15))
    async with first.working():
        call = await ring(first)
        epoch = await offered(first, call)
        await first.inbox.put(VoiceLost(call.call_id, epoch, "quota"))
        assert await offered(first, call) > epoch, "another relay may try"
        assert await first.places.count(["sales"]) == {"sales": 1}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_replica_dies_while_it_ends_a_call_and_another_waits(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient, after: bool
) -> None:
    """The dead replica has saved the end of the call; the other frees the place, and the waiting call gets it."""
    first, second = replicas_of(clients, client, limited(wait=20))
    async with first.working():
        call = await ring(first)
        await answer(first, call)
        waiting = await ring(first)
        await has(first, waiting, Status.RINGING)
    dying = DyingEffects(first.effects, 0, after=after)
    async with first.working(dying):
        await hang_up(first, call)
        await asyncio.wait_for(dying.died.wait(), 5)
    await first.fleet.leave()
    async with second.working():
        await answer(second, waiting)

        async def only_one() -> bool:
            return await second.places.count(["sales"]) == {"sales": 1}

        await eventually(only_one)


async def test_a_replica_dies_between_the_place_and_the_record(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient
) -> None:
    """The other replica processes the event again: the call has one place, in the same rule."""
    first, second = replicas_of(clients, client, limited())
    call = PhoneCall()
    assert await first.places.take(call.call_id, [LimitedRule("sales", 1, may_wait=False)]) is not None
    async with second.working():
        await second.inbox.put_once(arrival(call), call.call_id)
        await answer(second, call)
        assert await second.places.count(["sales"]) == {"sales": 1}


async def test_a_late_repetition_of_the_arrival_of_an_ended_call_takes_no_place(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient
) -> None:
    first, second = replicas_of(clients, client, limited())
    async with first.working(), second.working():
        call = await ring(first)
        await answer(first, call)
        await hang_up(first, call)
        await has(first, call, Status.ENDING, Status.ENDED)
        await eventually(first.idle)
        await first.inbox.put(arrival(call))
        await eventually(first.idle)
        assert await first.places.count(["sales"]) == {"sales": 0}


async def test_the_place_of_a_restored_call_is_restored(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient
) -> None:
    first, _ = replicas_of(clients, client, limited())
    async with first.working():
        call = await ring(first)
        epoch = await offered(first, call)
        record = await has(first, call, Status.RINGING)
        await clients.control.flushdb()
        await first.inbox.ensure_group()
        assert await first.store.restore(replace(record, pending=()), f"relay|{epoch}")
        await first.inbox.put(Restored(call.call_id))

        async def restored() -> bool:
            return await first.places.count(["sales"]) == {"sales": 1}

        await eventually(restored)
        assert (await has(first, await ring(first), Status.ENDED, rule="rest")).end_reason == "redirected"
