"""A gateway dies without a report: the relay that drives the call reports it, and withdraws the report if it was wrong.

The unit test of the same name tests the exact times, and uplinks that are not missed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import MediaDetached, MediaOpen, UplinkMissed, VoiceReady
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


async def test_the_next_relay_of_the_call_misses_the_uplink_as_well(clients: RedisClients, call: Call) -> None:
    """The relay and the gateway died together."""
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
