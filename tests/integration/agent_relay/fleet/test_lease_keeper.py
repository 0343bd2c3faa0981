"""Leases on real Redis: lost leases, missing renewals, and a Redis that restarts empty."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from agent_relay.call.relay import LEASE_LOST
from bridge_common.base.errors import OutsideError
from bridge_common.observability import telemetry
from bridge_common.redis.clients import RedisClients, command
from bridge_common.store.call_store import CallStore
from bridge_common.store.leases import Claim
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import Audio, ItemEnd, Restored, VoiceReady
from bridge_common.wire.keys import Keys
from tests.integration.support.relay_call import Call, model_target, relay_process
from tests.integration.support.scripted_voice_live import opened, reply, scripted, until_open
from tests.support.eventually import eventually

SECOND = bytes(48_000)


async def test_the_next_relay_continues_at_the_cursor_of_the_previous_one(
    clients: RedisClients, ten: list[Call]
) -> None:
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


async def test_a_lease_that_ends_elsewhere_ends_the_call_here(clients: RedisClients, ten: list[Call]) -> None:
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)) as relay:
        await ten[0].begin()
        await until_open(service, 0)
        await ten[0].leases.end(ten[0].call_id)
        await eventually(lambda: relay.worker.active == 0)


@pytest.mark.parametrize(("status", "why"), [(Status.ENDED, "ended"), (Status.CONNECTED, "lease lost")])
async def test_a_lost_lease_of_an_ended_call_counts_as_its_end(
    clients: RedisClients, ten: list[Call], caplog: pytest.LogCaptureFixture, status: Status, why: str
) -> None:
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)) as relay:
        await ten[0].begin()
        await until_open(service, 0)
        await eventually(ten[0].announced)
        record = await ten[0].store.load(ten[0].call_id)
        assert record is not None
        assert await ten[0].store.save(record, replace(record, status=status))
        with caplog.at_level(logging.INFO, "agent_relay.fleet.relay_worker"):
            await ten[0].leases.end(ten[0].call_id)
            await eventually(lambda: relay.worker.active == 0)
        assert [
            vars(line)["bridge_fields"]["why"]
            for line in caplog.records
            if line.message == "relay stopped handling call"
        ] == [why]


async def test_a_relay_that_is_killed_while_it_loads_the_record_leaves_no_task(
    clients: RedisClients, ten: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test fails if tasks are left running."""
    loading = asyncio.Event()

    async def no_answer(_: str) -> CallRecord | None:
        loading.set()
        await asyncio.Event().wait()
        return None

    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)) as relay:
        await ten[0].begin()
        await until_open(service, 0)
        (owned,) = relay.worker.owned_calls.values()
        monkeypatch.setattr(relay.context.store, "load", no_answer)
        owned.stop(LEASE_LOST)
        await asyncio.wait_for(loading.wait(), 5)
        await relay.kill()


async def test_without_renewal_a_call_is_muted_and_its_audio_follows_later(
    clients: RedisClients, ten: list[Call], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "agent_relay.voice.protocol_trace")
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)) as relay:
        await ten[0].begin()
        session = await until_open(service, 0)
        await ten[0].attach()
        await eventually(ten[0].announced)
        renew = relay.context.leases.renew

        async def no_answer(_: Iterable[Claim], __: Mapping[str, str]) -> list[Claim]:
            raise OutsideError("Redis is unreachable", retry=True)

        monkeypatch.setattr(relay.context.leases, "renew", no_answer)
        await eventually(lambda: telemetry.REGISTRY.get_sample_value("bridge_relay_muted_calls") == 1)
        await session.push(*reply("resp_1", "item_1", "Held back.", SECOND))
        await eventually(lambda: any(_event(line) == "ResponseDone" for line in caplog.records))
        await relay.context.writer.flush()
        assert not ten[0].of(Audio)
        monkeypatch.setattr(relay.context.leases, "renew", renew)
        await eventually(lambda: ten[0].of(ItemEnd))
        assert len(ten[0].of(Audio)) == 4
        await ten[0].end()


async def test_if_redis_restarts_empty_the_relay_restores_its_calls(clients: RedisClients, ten: list[Call]) -> None:
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)) as relay:
        call = ten[0]
        await call.begin()
        session = await until_open(service, 0)
        await call.attach()
        await eventually(call.announced)
        (claim,) = relay.worker.owned_calls
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
        assert list(relay.worker.owned_calls) == [claim], "no other relay has claimed it"
        await call.end()
        await eventually(lambda: relay.worker.active == 0)


async def test_records_are_read_a_few_at_a_time(
    clients: RedisClients, ten: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading the records of forty calls at once takes five milliseconds, during which no frame is forwarded."""
    asked: list[Sequence[str]] = []
    load_many = CallStore.load_many

    async def seen(store: CallStore, call_ids: Sequence[str]) -> dict[str, CallRecord]:
        asked.append(call_ids)
        return await load_many(store, call_ids)

    monkeypatch.setattr(CallStore, "load_many", seen)
    scripts = [opened(session_id=f"sess_{number}") for number in range(len(ten))]
    async with scripted(*scripts) as service, relay_process(clients, model_target(service.url)) as relay:
        for call in ten:
            await call.begin()
        await eventually(lambda: len(service.sessions) == relay.worker.active == len(ten))
        asked.clear()
        everybody = {call.call_id for call in ten}
        await eventually(lambda: {call_id for few in asked for call_id in few} == everybody, within_s=5.0)
        assert max(len(few) for few in asked) <= 8


def _event(line: logging.LogRecord) -> object:
    return vars(line).get("bridge_fields", {}).get("event")
