"""A gateway dies unreported: the relay that drives the call reports it, and withdraws the report if it was wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import MediaDetached, MediaOpen, Stamp, UplinkMissed, VoiceReady
from tests.integration.support.relay_call import Call, calls, model_target, relay_process
from tests.integration.support.scripted_voice_live import opened, scripted, until_open


@pytest.fixture
async def call(clients: RedisClients) -> AsyncIterator[Call]:
    async with calls(clients) as ten:
        yield ten[0]


async def _epoch(call: Call) -> int:
    record = await call.store.load(call.call_id)
    assert record is not None
    return record.uplink_epoch


async def test_an_uplink_without_any_entry_is_reported_again_and_again_and_its_return_once(
    clients: RedisClients, call: Call
) -> None:
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)):
        await call.begin()
        await call.told(VoiceReady)
        await until_open(service, 0)
        await call.attach()
        call.speak(3)
        spoke = time.monotonic()
        assert await call.told(UplinkMissed) == UplinkMissed(call.call_id, await _epoch(call))
        assert 1.0 < time.monotonic() - spoke < 2.0
        call.inbox.clear()
        await call.told(UplinkMissed)
        assert time.monotonic() - spoke < 3.0
        call.speak()
        assert await call.told(MediaOpen) == MediaOpen(call.call_id, await _epoch(call))
        await call.end()


async def test_the_loss_of_a_socket_is_no_return_and_the_next_socket_is(clients: RedisClients, call: Call) -> None:
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)):
        await call.begin()
        await until_open(service, 0)
        await call.attach()
        call.speak()
        first = await _epoch(call)
        await call.told(UplinkMissed)
        call.send(MediaDetached("going away"))
        await call.flush()
        call.inbox.clear()
        assert await call.told(UplinkMissed) == UplinkMissed(call.call_id, first)
        assert not any(isinstance(entry, MediaOpen) for entry in call.inbox)
        await call.attach()
        assert await call.told(MediaOpen) == MediaOpen(call.call_id, await _epoch(call))
        await call.end()


async def test_a_gateway_whose_caller_is_quiet_is_not_missed(clients: RedisClients, call: Call) -> None:
    """ACS may send nothing for long, on hold for instance: then the gateway's stamps are all that comes."""
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)):
        await call.begin()
        await call.told(VoiceReady)
        await until_open(service, 0)
        await call.attach()
        call.speak()
        stamped = [time.monotonic()]
        while stamped[-1] - stamped[0] < 2.0:
            await asyncio.sleep(0.1)
            call.send(Stamp(1))
            stamped.append(time.monotonic())
        longest_pause = max(later - earlier for earlier, later in pairwise(stamped))
        # A machine that stops this very test for a second is a silent gateway indeed.
        assert not await _was_missed(call) or longest_pause > 0.8
        await call.end()


async def test_before_the_first_socket_nothing_is_missed(clients: RedisClients, call: Call) -> None:
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)):
        await call.begin()
        await call.told(VoiceReady)
        await asyncio.sleep(1.6)
        assert not await _was_missed(call)
        await call.end()


async def test_the_relay_that_takes_the_call_over_misses_the_uplink_as_well(clients: RedisClients, call: Call) -> None:
    """Relay and gateway died together."""
    async with scripted(opened(), opened(session_id="sess_2")) as service:
        target = model_target(service.url)
        async with relay_process(clients, target) as first:
            await call.begin()
            await call.told(VoiceReady)
            await until_open(service, 0)
            await call.attach()
            call.speak()
            await call.flush()
            await first.kill()
        async with relay_process(clients, target, name="relay-2"):
            assert await call.told(UplinkMissed) == UplinkMissed(call.call_id, await _epoch(call))
            await call.end()


async def _was_missed(call: Call) -> bool:
    return any(isinstance(entry, UplinkMissed) for entry in await call.news())
