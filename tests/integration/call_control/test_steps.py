"""Steps of a call with real Redis: replicas that write one record concurrently lose no change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec
import pytest

from bridge_common.base.errors import OutsideError
from bridge_common.redis.clients import RedisClients
from bridge_common.store.call_store import CallStore, Deadlines
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import Callback, HangUp, IncomingCall, VoiceReady
from bridge_common.wire.keys import Keys
from call_control.core.machine.call_commands import End, Offer, of_pending, to_pending
from call_control.core.machine.call_events import CommandDone
from call_control.core.machine.transition import CallPolicy, outstanding
from call_control.core.policy.routing import Routed, Routing
from call_control.steps import CallSteps
from tests.support.recorded_spans import Growth
from tests.support.switchboard import PhoneCall

NONE = Deadlines()
OFFERED = to_pending(Offer(seq=1, cause="1-1"))


class CountedRouting:
    def __init__(self) -> None:
        self.counted: list[Routed] = []

    async def routing(self) -> Routing:
        return Routing(profile="sales")

    def count(self, routed: Routed) -> None:
        self.counted.append(routed)


class OvertakenStore(CallStore):
    """Simulates concurrent writes: before each save, another writer applies the next step of `overtakes`."""

    overtakes: list[Callable[[], Awaitable[object]]]

    async def save(self, old: CallRecord, new: CallRecord, deadlines: Deadlines = NONE) -> bool:
        if self.overtakes:
            await self.overtakes.pop()()
        return await super().save(old, new, deadlines)


class CountedStore(CallStore):
    loads = 0

    async def load(self, call_id: str) -> CallRecord | None:
        self.loads += 1
        return await super().load(call_id)


class ContestedStore(CallStore):
    async def save(self, old: CallRecord, new: CallRecord, deadlines: Deadlines = NONE) -> bool:
        return False


def arrival(call: PhoneCall) -> IncomingCall:
    return IncomingCall(call.call_id, "e", call.caller, call.callee, call.context, call.correlation_id, "", now_ms())


def now_ms() -> int:
    return round(time.time() * 1000)


@pytest.fixture
def store(clients: RedisClients) -> CallStore:
    return CallStore(clients.control, Keys(1))


async def test_an_arrival_creates_a_record_and_an_offer(store: CallStore) -> None:
    call, routing = PhoneCall(), CountedRouting()
    record = await CallSteps(store, CallPolicy(), routing).take(arrival(call), "1-1")
    assert record is not None
    assert (record.status, record.profile, record.caller) == (Status.RINGING, "sales", call.caller)
    assert any(isinstance(command, Offer) for command in outstanding(record, "1-1"))
    assert record == await store.load(call.call_id)


async def test_an_arrival_that_two_replicas_read_is_one_call_and_counted_once(store: CallStore) -> None:
    call, routing = PhoneCall(), CountedRouting()
    replicas = [CallSteps(store, CallPolicy(), routing) for _ in range(2)]
    first, second = await asyncio.gather(*(steps.take(arrival(call), "1-1") for steps in replicas))
    assert first is not None
    assert first == second
    assert len(routing.counted) == 1


async def test_an_overtaken_step_is_applied_to_the_newer_record(clients: RedisClients, store: CallStore) -> None:
    call, routing = PhoneCall(), CountedRouting()
    other = CallSteps(store, CallPolicy(), routing)
    await other.take(arrival(call), "1-1")
    overtaken = OvertakenStore(clients.control, Keys(1))
    overtaken.overtakes = [lambda: other.take(VoiceReady(call.call_id, 1), "1-2")]
    record = await CallSteps(overtaken, CallPolicy(), routing).take(HangUp(call.call_id, "operator", ""), "1-3")
    assert not overtaken.overtakes
    assert record is not None
    assert record.voice_ready, "the change of the other replica"
    assert record.status is not Status.RINGING, "and ours"
    stored = await store.load(call.call_id)
    assert stored is not None
    assert replace(record, version=stored.version) == stored


async def test_results_are_applied_to_the_loaded_record(clients: RedisClients) -> None:
    store = CountedStore(clients.control, Keys(1))
    steps = CallSteps(store, CallPolicy(), CountedRouting())
    offered = await steps.take(arrival(PhoneCall()), "1-1")
    assert offered is not None
    seen = await steps.take_results(offered, [CommandDone(1)], "1-1")
    assert store.loads == 0
    assert seen is not None
    assert seen == await store.load(offered.call_id), "with its current version"
    assert outstanding(offered, "1-1")[0] not in outstanding(seen, "1-1")


async def test_results_for_an_outdated_record_are_applied_to_the_current_one(store: CallStore) -> None:
    steps, other = (CallSteps(store, CallPolicy(), CountedRouting()) for _ in range(2))
    offered = await steps.take(arrival(PhoneCall()), "1-1")
    assert offered is not None
    await other.take(VoiceReady(offered.call_id, 1), "1-2")
    seen = await steps.take_results(offered, [CommandDone(1)], "1-1")
    assert seen == await store.load(offered.call_id)
    assert seen is not None
    assert seen.voice_ready
    assert seen.status is Status.ANSWERING


async def test_a_record_that_others_keep_writing_raises(clients: RedisClients, store: CallStore) -> None:
    call, routing = PhoneCall(), CountedRouting()
    await CallSteps(store, CallPolicy(), routing).take(arrival(call), "1-1")
    contested = CallSteps(ContestedStore(clients.control, Keys(1)), CallPolicy(), routing)
    with pytest.raises(OutsideError) as raised:
        await contested.take(VoiceReady(call.call_id, 1), "1-2")
    assert raised.value.retry
    assert contested.calls == 0, "no step waits any more"


async def test_an_event_for_an_unknown_call_is_dropped(store: CallStore) -> None:
    steps = CallSteps(store, CallPolicy(), CountedRouting())
    assert await steps.take(HangUp(PhoneCall().call_id, "operator", ""), "1-1") is None
    gone = CallRecord(call_id=PhoneCall().call_id, status=Status.RINGING, pending=(OFFERED,))
    assert await steps.take_results(gone, [CommandDone(1)], "1-1") is None


async def test_a_callback_that_could_not_be_decoded_changes_nothing(store: CallStore) -> None:
    call = PhoneCall()
    steps = CallSteps(store, CallPolicy(), CountedRouting())
    before = await steps.take(arrival(call), "1-1")
    with pytest.raises(ValueError, match="property name"):
        await steps.take(Callback(call.call_id, "x", "CallConnected", "{no json"), "1-2")
    assert await store.load(call.call_id) == before
    assert await steps.take(VoiceReady(call.call_id, 1), "1-3") != before


def late(call: PhoneCall, **times: int) -> IncomingCall:
    return msgspec.structs.replace(arrival(call), **times)


@pytest.mark.parametrize(
    ("event_s", "received_s"),
    [(61, 0), (61, 61), (0, 61), (3600, 30)],
    ids=["delivered late", "both", "no time in the event, and it waited in the inbox", "long ago"],
)
async def test_a_call_that_rings_no_longer_is_not_begun(
    store: CallStore, caplog: pytest.LogCaptureFixture, event_s: int, received_s: int
) -> None:
    call, routing, grown = PhoneCall(), CountedRouting(), Growth()
    times = {"received_ms": now_ms() - received_s * 1000, "rang_ms": now_ms() - event_s * 1000 if event_s else 0}
    record = await CallSteps(store, CallPolicy(), routing).take(late(call, **times), "1-1")
    assert record is not None
    assert (record.status, record.end_reason, record.route) == (Status.ENDED, "ring_expired", "RING_TIME_S")
    assert [type(of_pending(command)) for command in record.pending] == [End], "no request to ACS"
    assert routing.counted == []
    assert grown("bridge_calls_outdated_total") == 1
    assert "call not answered: its event is older than the ring time" in [line.getMessage() for line in caplog.records]


@pytest.mark.parametrize("event_s", [-30, 0, 59])
async def test_a_call_that_still_rings_is_begun(store: CallStore, event_s: int) -> None:
    """A call whose event is recent is accepted, also if Azure's clock is ahead of ours."""
    call = PhoneCall()
    times = {"rang_ms": now_ms() - event_s * 1000}
    assert await CallSteps(store, CallPolicy(), CountedRouting()).take(late(call, **times), "1-1") is not None


async def test_a_call_that_was_recorded_in_time_continues(store: CallStore) -> None:
    """The replica that recorded the call died; another one continues after the ring time."""
    call, routing = PhoneCall(), CountedRouting()
    begun = await CallSteps(store, CallPolicy(), routing).take(arrival(call), "1-1")
    later = CallSteps(store, CallPolicy(), routing)
    assert await later.take(late(call, rang_ms=now_ms() - 100_000), "1-1") == begun
