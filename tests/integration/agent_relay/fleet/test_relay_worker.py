"""Relays that share calls on real Redis: capacity, takeover, fencing."""

from __future__ import annotations

import json
import math
import time

from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.transfer_profile import TransferProfile
from bridge_common.redis.clients import RedisClients, command
from bridge_common.wire.call_record import Status
from bridge_common.wire.entries import Audio, ItemEnd, Played
from bridge_common.wire.keys import Keys
from tests.integration.support.relay_call import (
    Call,
    agent_target,
    minted_tokens,
    model_target,
    relay_process,
)
from tests.integration.support.scripted_voice_live import Step, opened, reply, scripted, until_open
from tests.support.eventually import eventually

SECOND = bytes(48_000)


async def test_a_relay_claims_no_more_than_its_capacity(clients: RedisClients, ten: list[Call]) -> None:
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


async def test_an_ended_call_is_not_driven(clients: RedisClients, ten: list[Call]) -> None:
    await ten[0].begin(status=Status.ENDED)
    async with relay_process(clients, model_target("ws://127.0.0.1:1")) as relay:
        await eventually(lambda: _leased(clients, 0))
        await eventually(lambda: relay.worker.active == 0)


async def test_a_killed_relays_call_continues_at_another(clients: RedisClients, ten: list[Call]) -> None:
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
            second.worker.capacity = 10  # it must not claim the call earlier
            resumed = await until_open(service, 1)
            assert time.monotonic() - began < 4.0
            assert "conversation-id=conv_1" in resumed.path
            call.speak(3)
            await eventually(lambda: len(resumed.audio) >= 3 * 960)
            assert resumed.types() == ["session.update"], "no second greeting"
            await resumed.push(*reply("resp_2", "item_2", "Still here.", SECOND))
            await eventually(lambda: len(call.of(ItemEnd)) == 2)
            assert (await call.notices()).count("greeting") == 1
            await call.end()


async def test_simultaneous_calls_spread_over_the_relays(clients: RedisClients, ten: list[Call]) -> None:
    async with scripted(*[opened()] * 10) as service:
        target = model_target(service.url)
        async with relay_process(clients, target) as first, relay_process(clients, target, name="relay-2") as second:
            for call in ten:
                await call.begin()
            await eventually(lambda: first.worker.active + second.worker.active == 10)
            assert min(first.worker.active, second.worker.active) >= 2
            for call in ten:
                await call.end()


async def test_new_calls_go_to_a_relay_that_has_just_started(clients: RedisClients, ten: list[Call]) -> None:
    """After a scale-up, the new relay fills up first."""
    async with (
        scripted(*[opened()] * 10) as service,
        relay_process(clients, model_target(service.url), capacity=12) as first,
    ):
        for call in ten[:6]:
            await call.begin()
        await eventually(lambda: first.worker.active == 6)
        async with relay_process(clients, model_target(service.url), capacity=12, name="relay-2") as second:
            await eventually(lambda: first.worker.lowest_load == 0.0)
            for number, call in enumerate(ten[6:], start=7):
                await call.begin()
                await eventually(lambda: first.worker.active + second.worker.active == number)  # noqa: B023
            assert second.worker.active >= 3, "the fuller relay gives the emptier one a head start"
            for number in range(10):
                await until_open(service, number)
            for call in ten:
                await call.end()


async def test_a_relay_waits_for_emptier_ones_only_while_there_are_any(clients: RedisClients, ten: list[Call]) -> None:
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)) as first:
        await ten[0].begin()
        await eventually(lambda: first.worker.lowest_load == math.inf)
        async with relay_process(clients, model_target(service.url), name="relay-2"):
            await eventually(lambda: first.worker.lowest_load == 0.0)
        await ten[0].end()
        await eventually(lambda: first.worker.active == 0)


async def test_a_fenced_relay_writes_nothing(clients: RedisClients, ten: list[Call]) -> None:
    """Another relay has claimed the call while this one was frozen: Redis rejects the entries of this one."""
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)) as relay:
        call = ten[0]
        await call.begin()
        session = await until_open(service, 0)
        await call.attach()
        (claim,) = relay.worker.owned_calls
        newer = relay.context.writer.outlet(call.keys.downlink(call.call_id), claim.epoch + 1, lambda: None)
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


async def test_a_call_reference_has_the_targets_of_the_profile(clients: RedisClients, ten: list[Call]) -> None:
    transfer = TransferProfile(targets={"billing": "Invoices."})
    profile = AgentProfile(greeting=None, actions=("transfer_call",), transfer=transfer)
    async with scripted(opened(Step("conversation.item.create"))) as service:
        target = agent_target(service.url)
        async with relay_process(clients, target, profile=profile, tokens=minted_tokens()):
            await ten[0].begin()
            await until_open(service, 0)
            [key] = await clients.control.keys("callref:*")
            stored = json.loads(await clients.control.get(key) or "{}")
    assert stored == {"call_id": ten[0].call_id, "tools": ["transfer_call"], "targets": ["billing"]}
