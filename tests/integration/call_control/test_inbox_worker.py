"""The inbox worker: another replica completes the work of a dead one, exactly once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from bridge_common.base.errors import OutsideError
from bridge_common.redis.clients import RedisClients, open_clients
from bridge_common.store.call_store import CallStore, Deadlines
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import Callback, HangUp, VoiceReady
from bridge_common.wire.keys import Keys
from call_control.acs_client import AcsClient, MediaFormat
from call_control.core.connection_string import parse_connection_string
from call_control.core.machine.call_commands import AtOnce
from call_control.core.machine.call_events import CommandDone, CommandFailed
from call_control.core.machine.transition import CallPolicy
from lab.ports import free_port
from lab.redis_server import start_server
from tests.integration.support.dying_effects import DyingEffects
from tests.integration.support.inbox_replica import Replica, arrival
from tests.support.eventually import eventually
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import PhoneCall

NONE = Deadlines()


class SlowStore(CallStore):
    """Delays the creation of a call until the call is read, for at most 0.2 s."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        super().__init__(redis, keys)
        self.wanted = asyncio.Event()

    async def create(self, record: CallRecord, deadlines: Deadlines = NONE) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wanted.wait(), 0.2)
        return await super().create(record, deadlines)

    async def load(self, call_id: str) -> CallRecord | None:
        found = await super().load(call_id)
        self.wanted.set()
        return found


@pytest.fixture
async def client(acs: ScriptedAcs) -> AsyncIterator[AcsClient]:
    client = AcsClient(parse_connection_string(acs.connection_string), MediaFormat("pcm16k", "unmixed"))
    yield client
    await client.aclose()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("commands", range(2))
async def test_a_replica_dies_between_inbox_and_answer(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient, commands: int, after: bool
) -> None:
    """With `answer_at_once` the commands are Offer and Answer. The call is answered once, wherever the replica dies."""
    call = PhoneCall()
    first, second = Replica("first", clients, client), Replica("second", clients, client)
    dying = DyingEffects(first.effects, commands, after=after)
    async with first.working(dying):
        await first.inbox.put_once(arrival(call), "e")
        await asyncio.wait_for(dying.died.wait(), 5)
    await first.fleet.leave()
    async with second.working():

        async def answered() -> bool:
            record = await second.store.load(call.call_id)
            return record is not None and record.connection_id == acs.connections.get(call.context)

        await eventually(answered)
        assert await eventually(lambda: second.leases.claim(5)), "the call was offered"
        assert await eventually(lambda: _timers(clients, 2)), "both deadlines are set"
        await eventually(lambda: _inbox_is_empty(clients))
    assert acs.done["answer"] == 1
    assert len({asked.request_id for asked in acs.of("answer")}) == 1


async def _timers(clients: RedisClients, count: int) -> bool:
    return int(await clients.control.zcard(Keys(1).timers("{s00}"))) == count


async def _inbox_is_empty(clients: RedisClients) -> bool:
    return int(await clients.control.xlen(Keys(1).inbox("{s00}"))) == 0


async def test_a_frozen_replica_changes_nothing_when_it_resumes(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient
) -> None:
    """A replica freezes during its answer request. Another completes it and the call ends; then the first resumes."""
    call = PhoneCall()
    first, second = Replica("first", clients, client), Replica("second", clients, client)
    dying = DyingEffects(first.effects, 1, after=False)
    async with first.working(dying):
        await first.inbox.put_once(arrival(call), "e")
        await dying.died.wait()
        frozen = await first.store.load(call.call_id)
    assert frozen is not None
    await first.fleet.leave()
    async with second.working():
        connection_id = await eventually(lambda: _connection(second, call))
        data = f'{{"callConnectionId": "{connection_id}"}}'
        await second.inbox.put(Callback(call.call_id, "d", "CallDisconnected", data))
        await eventually(lambda: _has_status(second, call, Status.ENDED))
    assert not await first.store.save(frozen, replace(frozen, status=Status.CONNECTED))
    assert acs.done["answer"] == 1


async def _connection(replica: Replica, call: PhoneCall) -> str:
    record = await replica.store.load(call.call_id)
    return record.connection_id if record else ""


async def _has_status(replica: Replica, call: PhoneCall, status: Status) -> bool:
    record = await replica.store.load(call.call_id)
    return record is not None and record.status is status


async def test_entries_of_one_call_keep_their_order(clients: RedisClients, acs: ScriptedAcs, client: AcsClient) -> None:
    call = PhoneCall()
    only = Replica("only", clients, client, CallPolicy())
    only.store = SlowStore(clients.control, Keys(1))
    await only.inbox.put_once(arrival(call), "e")
    await only.inbox.put(VoiceReady(call.call_id, 1))
    await only.inbox.put(HangUp(call.call_id, "operator", ""))
    async with only.working():
        await eventually(lambda: _inbox_is_empty(clients))
    record = await only.store.load(call.call_id)
    assert record is not None
    assert record.voice_ready, "had the hang-up been first, the call would have been rejected while it rang"
    assert acs.done["reject"] == 0


async def test_an_entry_that_could_not_be_decoded_blocks_no_other(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient
) -> None:
    bad, good = PhoneCall(), PhoneCall()
    only = Replica("only", clients, client)
    await only.inbox.put_once(arrival(bad), "e1")
    await only.inbox.put(Callback(bad.call_id, "x", "CallConnected", "{no json"))
    await only.inbox.put(Callback(bad.call_id, "y", "CallConnected", "[]"))
    await only.inbox.put_once(arrival(good), "e2")
    async with only.working():
        await eventually(lambda: _connection(only, good))
        await eventually(lambda: _inbox_is_empty(clients))


async def test_timers_fire_on_any_replica(clients: RedisClients, acs: ScriptedAcs, client: AcsClient) -> None:
    call = PhoneCall()
    rules = CallPolicy(voice_ms=1500)
    first, second = Replica("first", clients, client, rules), Replica("second", clients, client, rules)
    async with first.working():
        await first.inbox.put_once(arrival(call), "e")
        await eventually(lambda: _timers(clients, 2))
    async with second.working():
        await eventually(lambda: _has_status(second, call, Status.ENDED))
    assert acs.done["reject"] == 1


async def test_drain_finishes_entries_in_progress(clients: RedisClients, acs: ScriptedAcs, client: AcsClient) -> None:
    call, late = PhoneCall(), PhoneCall()
    only = Replica("only", clients, client)
    gate = asyncio.Event()

    class Gated:
        async def run(self, record: CallRecord, commands: Sequence[AtOnce]) -> list[CommandDone | CommandFailed]:
            await gate.wait()
            return await only.effects.run(record, commands)

    async with only.working(Gated()) as worker:
        await only.inbox.put_once(arrival(call), "e1")
        await eventually(lambda: only.store.load(call.call_id))
        drained = asyncio.create_task(worker.drain())
        await asyncio.wait({drained}, timeout=0.7)
        assert not drained.done()
        await only.inbox.put_once(arrival(late), "e2")
        gate.set()
        await asyncio.wait_for(drained, 5)
    assert acs.done["answer"] == 1
    assert await only.store.load(late.call_id) is None, "left for another replica"


async def test_redis_lost_its_data(clients: RedisClients, acs: ScriptedAcs, client: AcsClient) -> None:
    call = PhoneCall()
    only = Replica("only", clients, client)
    async with only.working():
        await eventually(only.fleet.live)
        await clients.control.flushall()
        await only.inbox.put_once(arrival(call), "e")
        await eventually(lambda: _connection(only, call), within_s=10)


async def test_redis_was_restarted(acs: ScriptedAcs, client: AcsClient) -> None:
    """Redis is stopped during calls and started again empty: the worker continues."""
    port = free_port()
    server = start_server(port)
    clients = open_clients(f"redis://127.0.0.1:{port}/0")
    before, after = PhoneCall(), PhoneCall()
    only = Replica("only", clients, client)
    try:
        async with only.working():
            await only.inbox.put_once(arrival(before), "e1")
            await eventually(lambda: _connection(only, before))
            server.kill()
            server.wait()
            with pytest.raises(OutsideError):
                await only.inbox.put_once(arrival(after), "e2")
            server = start_server(port)
            await only.inbox.put_once(arrival(after), "e2")
            await eventually(lambda: _connection(only, after), within_s=10)
    finally:
        await clients.aclose()
        server.kill()
        server.wait()
    assert acs.done["answer"] == 2
