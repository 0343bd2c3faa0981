"""Relays that share calls over real Redis: capacity, takeover, drain, fencing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping

import pytest

from agent_relay.core.agent_profile import AgentProfile, Greeting
from agent_relay.worker import Worker
from bridge_common.call_record import Status
from bridge_common.entries import Audio, ItemEnd, Played, Restored, Stamp, VoiceReady
from bridge_common.errors import OutsideError
from bridge_common.keys import Keys
from bridge_common.leases import Claim
from bridge_common.redis_clients import RedisClients, command
from eventually import eventually
from relay_call import Call, agent_target, calls, minted_tokens, model_target, relay_process
from scripted_voice_live import Script, Step, created, opened, reply, scripted, until_open, updated

SECOND = bytes(48_000)


@pytest.fixture
async def ten(clients: RedisClients) -> AsyncIterator[list[Call]]:
    async with calls(clients) as ten:
        yield ten


async def test_a_relay_takes_no_more_than_its_capacity(clients: RedisClients, ten: list[Call]) -> None:
    async with (
        scripted(*[opened()] * 3) as service,
        relay_process(clients, model_target(service.url), capacity=2) as first,
    ):
        for call in ten[:3]:
            await call.begin()
        await eventually(lambda: first.worker.active == 2)
        async with relay_process(clients, model_target(service.url), capacity=2, name="relay-2") as second:
            await eventually(lambda: second.worker.active == 1)
            assert first.worker.active == 2
            for number in range(3):
                await until_open(service, number)
            for call in ten[:3]:
                await call.end()
            await eventually(lambda: first.worker.active + second.worker.active == 0)


async def test_a_call_that_is_over_before_its_relay_came_is_left(clients: RedisClients, ten: list[Call]) -> None:
    await ten[0].begin(status=Status.ENDED)
    async with relay_process(clients, model_target("ws://127.0.0.1:1")) as relay:
        await eventually(lambda: _leased(clients, 0))
        assert relay.worker.active == 0


async def test_a_killed_relays_call_goes_on_at_another(clients: RedisClients, ten: list[Call]) -> None:
    call = ten[0]
    greeted = Step("response.create", reply("resp_1", "item_1", "Welcome!", SECOND))
    scripts = [opened(greeted, conversation_id="conv_1"), opened(session_id="sess_2", conversation_id="conv_1")]
    profile = AgentProfile(greeting=Greeting(text="Welcome!"))
    async with scripted(*scripts) as service:
        target = agent_target(service.url)
        async with (
            relay_process(clients, target, profile=profile, tokens=minted_tokens()) as first,
            relay_process(
                clients, target, profile=profile, tokens=minted_tokens(), name="relay-2", capacity=0
            ) as second,
        ):
            await call.begin()
            await until_open(service, 0)
            await call.attach()
            call.speak()
            await eventually(lambda: call.of(ItemEnd))
            call.send(Played("item_1", 1000, True))
            await eventually(call.turns)
            await first.kill()
            began = time.monotonic()
            second.worker._capacity = 10  # only now may it have the call
            resumed = await until_open(service, 1)
            assert time.monotonic() - began < 2.0
            assert "conversation-id=conv_1" in resumed.path
            call.speak(3)
            await eventually(lambda: len(resumed.audio) >= 3 * 960)
            assert resumed.types() == ["session.update"], "no second greeting"
            await resumed.push(*reply("resp_2", "item_2", "Still here.", SECOND))
            await eventually(lambda: len(call.of(ItemEnd)) == 2)
            assert (await call.notices()).count("greeting") == 1
            await call.end()


async def test_a_draining_relay_hands_its_call_over_at_once(clients: RedisClients, ten: list[Call]) -> None:
    async with scripted(opened(), opened(session_id="sess_2")) as service:
        target = model_target(service.url)
        async with relay_process(clients, target) as first, relay_process(clients, target, name="relay-2") as second:
            await ten[0].begin()
            await until_open(service, 0)
            here, there = (first, second) if first.worker.active else (second, first)
            await eventually(lambda: _announced(ten[0]))
            began = time.monotonic()
            await asyncio.wait_for(here.worker.drain(), 5)
            assert here.worker.active == 0
            await until_open(service, 1)
            assert there.worker.active == 1
            assert time.monotonic() - began < 2.0
            await ten[0].end()


async def test_a_call_that_is_handed_over_goes_on_here_until_it_does_there(
    clients: RedisClients, ten: list[Call]
) -> None:
    """The second session is asked for and not configured yet: the first one hears and speaks. The second relay writes
    nothing before, not even the stamp of each second: its epoch would silence the first one for the rest of the set-up.
    """
    hesitant = Script(greets=[created("sess_2")], steps=[Step("session.update", [])])
    async with scripted(opened(), hesitant) as service:
        target = model_target(service.url)
        async with relay_process(clients, target) as here:
            await ten[0].begin()
            old = await until_open(service, 0)
            await ten[0].attach()
            await eventually(lambda: _announced(ten[0]))
            async with relay_process(clients, target, name="relay-2") as there:
                draining = asyncio.create_task(here.worker.drain())
                await eventually(lambda: len(service.sessions) == 2)
                _stamp_all(there.worker)
                await there.desk.writer.flush()
                ten[0].speak(10)
                await eventually(lambda: len(old.audio) == 10 * 960)
                await old.push(*reply("resp_1", "item_1", "One moment.", SECOND))
                await eventually(lambda: ten[0].of(ItemEnd))
                assert not draining.done()
                assert here.worker.active == 1
                new = service.sessions[1]
                await new.push(updated("sess_2", ""))
                await asyncio.wait_for(draining, 2)
                ten[0].speak(10)
                await eventually(lambda: len(new.audio) >= 10 * 960)
                assert len(old.audio) == 10 * 960
                _stamp_all(there.worker)
                await eventually(lambda: ten[0].of(Stamp))
                await ten[0].end()


async def test_the_next_relay_reads_on_where_the_last_one_was(clients: RedisClients, ten: list[Call]) -> None:
    async with scripted(opened(), opened(session_id="sess_2")) as service:
        target = model_target(service.url)
        async with relay_process(clients, target) as first:
            await ten[0].begin()
            old = await until_open(service, 0)
            await ten[0].attach()
            ten[0].speak(50)
            await eventually(lambda: len(old.audio) == 50 * 960)

            async def noted() -> bool:
                cursors: dict[bytes, bytes] = await command(clients.control, "HGETALL", Keys(1).owners("{s00}"))
                return any(value.endswith(b"-51") for value in cursors.values())

            await eventually(noted)
            await first.kill()
            ten[0].speak(7)
            await ten[0].flush()
        async with relay_process(clients, target, name="relay-2"):
            new = await until_open(service, 1)
            await eventually(lambda: len(new.audio) >= 7 * 960)
            assert len(new.audio) == 7 * 960
            await ten[0].end()


async def test_calls_that_come_at_once_spread_over_the_relays(clients: RedisClients, ten: list[Call]) -> None:
    async with scripted(*[opened()] * 10) as service:
        target = model_target(service.url)
        async with relay_process(clients, target) as first, relay_process(clients, target, name="relay-2") as second:
            for call in ten:
                await call.begin()
            await eventually(lambda: first.worker.active + second.worker.active == 10)
            assert min(first.worker.active, second.worker.active) >= 2
            for call in ten:
                await call.end()


async def test_a_draining_relay_keeps_its_call_while_nobody_else_can_have_it(
    clients: RedisClients, ten: list[Call]
) -> None:
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)) as relay:
        await ten[0].begin()
        await until_open(service, 0)
        draining = asyncio.create_task(relay.worker.drain())
        await ten[1].begin()
        await ten[0].attach()
        await service.sessions[0].push(*reply("resp_1", "item_1", "Still here.", SECOND))
        await eventually(lambda: ten[0].of(ItemEnd))
        assert relay.worker.active == 1, "and takes no other"
        assert not draining.done()
        await ten[0].end()
        await asyncio.wait_for(draining, 2)


async def test_a_lease_that_ends_elsewhere_ends_the_call_here(clients: RedisClients, ten: list[Call]) -> None:
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)) as relay:
        await ten[0].begin()
        await until_open(service, 0)
        await ten[0].leases.end(ten[0].call_id)
        await eventually(lambda: relay.worker.active == 0, within_s=2.0)


async def test_without_renewal_a_relay_is_silent_and_then_says_what_it_held_back(
    clients: RedisClients, ten: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)) as relay:
        await ten[0].begin()
        session = await until_open(service, 0)
        await ten[0].attach()
        await eventually(lambda: _announced(ten[0]))
        renew = relay.desk.leases.renew

        async def no_answer(_: Iterable[Claim], __: Mapping[str, str]) -> list[Claim]:
            raise OutsideError("Redis is away", retry=True)

        monkeypatch.setattr(relay.desk.leases, "renew", no_answer)
        (holding,) = relay.worker._holdings.values()
        await eventually(lambda: holding.relay is not None and holding.relay._downlink.muted)
        await session.push(*reply("resp_1", "item_1", "Held back.", SECOND))
        await eventually(lambda: holding.relay is not None and len(holding.relay._downlink._held or []) == 5)
        assert not ten[0].of(Audio)
        monkeypatch.setattr(relay.desk.leases, "renew", renew)
        await eventually(lambda: ten[0].of(ItemEnd))
        assert len(ten[0].of(Audio)) == 4
        await ten[0].end()


async def test_when_redis_comes_back_empty_the_relay_writes_its_calls_again(
    clients: RedisClients, ten: list[Call]
) -> None:
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)) as relay:
        call = ten[0]
        await call.begin()
        session = await until_open(service, 0)
        await call.attach()
        await eventually(lambda: _announced(call))
        (claim,) = relay.worker._holdings
        await clients.control.flushall()
        assert await call.told(Restored) == Restored(call.call_id)
        assert await call.told(VoiceReady) == VoiceReady(call.call_id, claim.epoch)
        record = await call.store.load(call.call_id)
        assert record is not None
        assert record.voice_session_id == "sess_1"
        call.speak(3)
        await eventually(lambda: len(session.audio) == 3 * 960)
        await session.push(*reply("resp_1", "item_1", "Still here.", SECOND))
        await eventually(lambda: call.of(ItemEnd))
        assert list(relay.worker._holdings) == [claim], "nobody else has had it"
        await call.end()
        await eventually(lambda: relay.worker.active == 0)


async def test_a_relay_that_was_overtaken_falls_silent(clients: RedisClients, ten: list[Call]) -> None:
    """Somebody else claimed the call while this one was stopped: Redis refuses what it still says."""
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)) as relay:
        call = ten[0]
        await call.begin()
        session = await until_open(service, 0)
        await call.attach()
        (claim,) = relay.worker._holdings
        newer = relay.desk.writer.outlet(call.keys.downlink(call.call_id), claim.epoch + 1, lambda: None)
        newer.append(ItemEnd("of the newer"))
        await eventually(lambda: call.of(ItemEnd))
        await session.push(*reply("resp_1", "item_1", "A ghost speaks.", SECOND))
        await eventually(lambda: relay.worker.active == 0)
        assert not call.of(Audio)
        await call.end()


async def test_many_calls_at_one_relay(clients: RedisClients, ten: list[Call]) -> None:
    async with scripted(*[opened()] * 10) as service, relay_process(clients, model_target(service.url)) as relay:
        for call in ten:
            await call.begin()
        for number in range(10):
            await until_open(service, number)
        for call in ten:
            await call.attach()
            call.speak(40)
        await eventually(lambda: all(len(session.audio) == 40 * 960 for session in service.sessions))
        for call in ten:
            await call.end()
        await eventually(lambda: relay.worker.active == 0)


async def _leased(clients: RedisClients, count: int) -> bool:
    leases: bytes = await command(clients.control, "ZCARD", Keys(1).leases("{s00}"))
    return int(leases) == count


async def _announced(call: Call) -> bool:
    record = await call.store.load(call.call_id)
    return record is not None and bool(record.voice_session_id)


def _stamp_all(worker: Worker) -> None:
    """What the worker does once a second."""
    for holding in worker._holdings.values():
        assert holding.relay is not None
        holding.relay.stamp()
