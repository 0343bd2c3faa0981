"""Deadlines of calls on real Redis: in any order of steps, none of them outlives its call."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest

from bridge_common.base.errors import OutsideError
from bridge_common.redis.clients import RedisClients, command
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import Callback, Due, HangUp, MediaLost, MediaOpen, Restored, VoiceReady
from bridge_common.wire.entry_codec import decode, encode
from bridge_common.wire.keys import Keys
from call_control.acs_client import AcsClient, MediaFormat
from call_control.core.connection_string import parse_connection_string
from call_control.core.machine.call_commands import AtOnce, SetTimer, of_pending
from call_control.core.machine.call_events import CommandDone, CommandFailed
from call_control.core.machine.transition import CallPolicy
from call_control.inbox_worker import CommandRunner
from call_control.steps import CallSteps
from tests.integration.support.inbox_replica import Replica, arrival
from tests.support.eventually import eventually
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import PhoneCall

CONNECTION = "441f1200"
RULES = CallPolicy(answer_at_once=True, redial_ms=500, media_ms=500, ending_ms=200)


class HeldEffects:
    """Executes a command only after the test releases it."""

    def __init__(self, effects: CommandRunner) -> None:
        self._effects = effects
        self.asked = asyncio.Event()
        self.released = asyncio.Event()

    async def run(self, record: CallRecord, commands: Sequence[AtOnce]) -> list[CommandDone | CommandFailed]:
        self.asked.set()
        await self.released.wait()
        return await self._effects.run(record, commands)


class ErraticEffects:
    """Executes commands with random delays, and fails at random as if Redis were unavailable."""

    def __init__(self, effects: CommandRunner, random_: random.Random) -> None:
        self._effects = effects
        self._random = random_

    async def run(self, record: CallRecord, commands: Sequence[AtOnce]) -> list[CommandDone | CommandFailed]:
        await asyncio.sleep(self._random.choice((0, 0.001, 0.01, 0.05)))
        if self._random.random() < 0.1:
            raise OutsideError("Redis is unavailable", retry=True)
        return await self._effects.run(record, commands)


def callback(call: PhoneCall, type_: str, event_id: str) -> Callback:
    return Callback(call.call_id, event_id, type_, f'{{"callConnectionId": "{CONNECTION}"}}')


async def timers_of(clients: RedisClients) -> list[Due]:
    members: list[bytes] = await command(clients.control, "ZRANGE", Keys().timers("{s00}"), 0, -1)
    return [entry for entry in map(decode, members) if isinstance(entry, Due)]


async def no_timers(clients: RedisClients) -> bool:
    return not await timers_of(clients)


@pytest.fixture
async def client(acs: ScriptedAcs) -> AsyncIterator[AcsClient]:
    client = AcsClient(parse_connection_string(acs.connection_string), MediaFormat("pcm16k", "unmixed"))
    yield client
    await client.aclose()


async def test_a_concurrent_end_leaves_no_deadline(clients: RedisClients, client: AcsClient) -> None:
    """A replica has saved the record but not executed its commands; then another replica ends the call."""
    call = PhoneCall()
    slow, quick = Replica("slow", clients, client, RULES), Replica("quick", clients, client, RULES)
    held = HeldEffects(slow.effects)
    async with slow.working(held):
        await slow.inbox.put_once(arrival(call), "e")
        await held.asked.wait()
        assert {due.timer for due in await timers_of(clients)} == {SetTimer.VOICE, SetTimer.CONNECT}, "with the record"
        steps = CallSteps(quick.store, RULES, quick.routing)
        await quick.routing.sync()
        for type_ in ("CallConnected", "CallDisconnected"):
            await steps.take(callback(call, type_, type_), type_)
        held.released.set()
        await eventually(lambda: no_timers(clients))
        await eventually(slow.idle)


async def test_the_deadlines_of_a_restored_call_are_set_again(clients: RedisClients, client: AcsClient) -> None:
    call = PhoneCall()
    replica = Replica("one", clients, client, RULES)
    await replica.routing.sync()
    steps = CallSteps(replica.store, RULES, replica.routing)
    await steps.take(arrival(call), "1-1")
    before = await timers_of(clients)
    await clients.control.delete(Keys().timers("{s00}"))
    await steps.take(Restored(call.call_id), "2-1")
    assert sorted(map(encode, await timers_of(clients))) == sorted(map(encode, before)) != []


async def test_the_hang_up_of_a_restored_call_is_repeated(clients: RedisClients, client: AcsClient) -> None:
    call = PhoneCall()
    replica = Replica("one", clients, client, RULES)
    await replica.routing.sync()
    steps = CallSteps(replica.store, RULES, replica.routing)
    await steps.take(arrival(call), "1-1")
    await steps.take(callback(call, "CallConnected", "c"), "2-1")
    record = await steps.take(HangUp(call.call_id, "agent", ""), "3-1")
    assert record is not None
    assert record.status is Status.ENDING
    [before] = await timers_of(clients)
    await clients.control.delete(Keys().timers("{s00}"))
    await steps.take(Restored(call.call_id), "9-1")
    assert await timers_of(clients) == [before]


@pytest.mark.parametrize("seed", range(6))
async def test_no_deadline_outlives_its_call_in_any_order(clients: RedisClients, client: AcsClient, seed: int) -> None:
    drawn = random.Random(seed)
    replicas = [Replica(name, clients, client, RULES) for name in ("first", "second")]
    calls = [PhoneCall() for _ in range(10)]
    entries = [entry for call in calls for entry in middle_of(call)]
    drawn.shuffle(entries)
    working = [replica.working(ErraticEffects(replica.effects, drawn)) for replica in replicas]
    async with working[0], working[1]:
        for call in calls:
            await replicas[0].inbox.put_once(arrival(call), call.call_id)
        for entry in entries:
            await replicas[0].inbox.put(entry)
            await asyncio.sleep(drawn.choice((0, 0, 0.002)))
        for call in calls:
            for event_id in ("d1", "d2"):
                await replicas[0].inbox.put(callback(call, "CallDisconnected", event_id))
        await eventually(lambda: all_ended(replicas[0], calls), within_s=20)
        await eventually(lambda: no_timers(clients), within_s=20)
        await eventually(replicas[0].idle, within_s=20)
    for call in calls:
        record = await replicas[0].store.load(call.call_id)
        assert record is not None
        assert not [item for item in record.pending if isinstance(of_pending(item), SetTimer)]


def middle_of(call: PhoneCall) -> list[Callback | VoiceReady | MediaOpen | MediaLost | HangUp | Restored]:
    return [
        callback(call, "CallConnected", "c"),
        callback(call, "MediaStreamingFailed", "m"),
        VoiceReady(call.call_id, 5),
        MediaOpen(call.call_id, 10),
        MediaLost(call.call_id, 10, 1006),
        MediaOpen(call.call_id, 11),
        Restored(call.call_id),
        HangUp(call.call_id, "agent", ""),
    ]


async def all_ended(replica: Replica, calls: Sequence[PhoneCall]) -> bool:
    records = [await replica.store.load(call.call_id) for call in calls]
    return all(record is not None and record.status is Status.ENDED for record in records)
