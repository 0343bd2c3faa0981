"""Draining relays: their calls continue at another relay without a gap."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any
from unittest.mock import AsyncMock

import pytest

from agent_relay.call.relay import Relay
from agent_relay.core.dialog.debt import Limits
from agent_relay.core.uplink_cursor import PREROLL_FRAMES
from agent_relay.fleet.hand_over import HandOverLimits
from agent_relay.fleet.relay_worker import KIND, RelayWorker
from bridge_common.redis.clients import RedisClients
from bridge_common.store import fleet
from bridge_common.store.fleet import Fleet
from bridge_common.store.leases import POLL_MS
from bridge_common.wire.entries import Dtmf, Hold, ItemEnd, Stamp, VoiceLost, VoiceReady
from tests.integration.support.relay_call import (
    Call,
    agent_target,
    minted_tokens,
    model_target,
    relay_process,
)
from tests.integration.support.scripted_voice_live import (
    Script,
    ScriptedVoiceLive,
    Session,
    Step,
    caller_said,
    created,
    opened,
    reply,
    scripted,
    until_open,
    updated,
)
from tests.support.eventually import eventually

SECOND = bytes(48_000)


AT_ONCE = Limits(hold_after_s=0.0)


async def test_a_draining_relay_hands_its_call_over_at_once(clients: RedisClients, ten: list[Call]) -> None:
    async with scripted(opened(), opened(session_id="sess_2")) as service:
        target = model_target(service.url)
        async with relay_process(clients, target) as first, relay_process(clients, target, name="relay-2") as second:
            await ten[0].begin()
            await until_open(service, 0)
            here, there = (first, second) if first.worker.active else (second, first)
            await eventually(ten[0].announced)
            began = time.monotonic()
            await asyncio.wait_for(here.worker.drain(), 5)
            assert here.worker.active == 0
            await until_open(service, 1)
            assert there.worker.active == 1
            assert time.monotonic() - began < 4.0
            await ten[0].end()


async def test_a_handed_over_call_continues_here_until_the_next_session_is_ready(
    clients: RedisClients, ten: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the second session is not configured, the first one hears and speaks. Until then, the second relay writes
    neither latency probes nor hold tone, because its epoch would fence the first one.
    """
    monkeypatch.setattr(fleet, "DEAD_AFTER_MS", 10_000)  # so that a busy machine does not count as dead
    hesitant = Script(greets=[created("sess_2")], steps=[Step("session.update", [])])
    async with scripted(opened(), hesitant) as service:
        target = model_target(service.url)
        async with relay_process(clients, target) as here:
            old = await _connected(ten[0], service)
            async with relay_process(clients, target, name="relay-2", limits=AT_ONCE) as there:
                draining = asyncio.create_task(here.worker.drain())
                await eventually(lambda: len(service.sessions) == 2)
                _stamp_all(there.worker)
                await _ticked(there.worker)
                await there.context.writer.flush()
                ten[0].speak(10)
                await eventually(lambda: len(old.audio) == 10 * 960)
                await old.push(*reply("resp_1", "item_1", "One moment.", SECOND))
                await eventually(lambda: ten[0].of(ItemEnd))
                assert not draining.done()
                assert here.worker.active == 1
                new = service.sessions[1]
                await new.push(updated("sess_2", ""))
                await asyncio.wait_for(draining, 4)
                ten[0].speak(10)
                await eventually(lambda: len(new.audio) >= 10 * 960)
                assert len(old.audio) == 10 * 960
                _stamp_all(there.worker)
                await eventually(lambda: ten[0].of(Stamp))
                await ten[0].end()


async def test_the_next_session_begins_where_the_previous_one_stopped(clients: RedisClients, ten: list[Call]) -> None:
    """Both sessions together hear every frame and every key of a quiet call once, whenever the second session
    is ready.
    """
    tones = [Step("conversation.item.create", where=lambda e: "[keypad] 1#" in str(e)), Step("response.create")]
    late = [Step("conversation.item.create", where=lambda e: "[keypad] 2#" in str(e)), Step("response.create")]
    hesitant = Script(greets=[created("sess_2")], steps=[Step("session.update", []), *late])
    async with scripted(opened(*tones), hesitant) as service:
        target = model_target(service.url)
        async with relay_process(clients, target) as here:
            call = ten[0]
            old = await _connected(call, service)
            call.speak_numbered(range(50))
            await eventually(lambda: old.frames == list(range(50)))
            async with relay_process(clients, target, name="relay-2"):
                draining = asyncio.create_task(here.worker.drain())
                await eventually(lambda: len(service.sessions) == 2)
                call.speak_numbered(range(50, 200))
                call.send(Dtmf("1"), Dtmf("#"))
                await eventually(lambda: "response.create" in old.types())
                await old.push(*reply("resp_1", "item_1", "One.", bytes(4_800)))
                new = await until_open(service, 1)
                assert not new.frames, "the previous one listens"
                await new.push(updated("sess_2", ""))
                sent = 200
                while not draining.done():
                    call.speak_numbered([sent])
                    sent += 1
                    await asyncio.sleep(0.02)
                call.speak_numbered(range(sent, sent + 10))
                call.send(Dtmf("2"), Dtmf("#"))
                await eventually(lambda: "response.create" in new.types())
                await eventually(lambda: old.frames + new.frames == list(range(sent + 10)))
                await call.end()


@pytest.mark.parametrize("resumes", [False, True])
async def test_an_unanswered_turn_is_heard_by_the_next_session_from_its_beginning(
    clients: RedisClients, ten: list[Call], resumes: bool
) -> None:
    """The old session discards the turn, and a conversation that is resumed by its id does not contain it."""
    conversation = "conv_1" if resumes else ""
    second = Script(greets=[created("sess_2")], steps=[Step("session.update", [])])
    async with scripted(opened(conversation_id=conversation), second) as service:
        target = agent_target(service.url) if resumes else model_target(service.url)
        tokens = minted_tokens() if resumes else None
        at_once = HandOverLimits(patience_s=0.0)
        async with relay_process(clients, target, tokens=tokens, hand_over=at_once) as here:
            call = ten[0]
            old = await _connected(call, service)
            call.speak_numbered(range(60))
            await eventually(lambda: old.frames == list(range(60)))
            async with relay_process(clients, target, tokens=tokens, name="relay-2"):
                draining = asyncio.create_task(here.worker.drain())
                new = await until_open(service, 1)
                # The turn begins while the next session is opened, later than the hand-over.
                await old.push(caller_said("item_1", "")[0])
                (owned,) = here.worker.owned_calls.values()
                await eventually(lambda: owned.relay is not None and not owned.relay.quiet)
                call.speak_numbered(range(60, 120))
                await eventually(lambda: old.frames == list(range(120)))
                await new.push(updated("sess_2", conversation))
                await asyncio.wait_for(draining, 3)
                call.speak_numbered(range(120, 130))
                begin = 61 - (PREROLL_FRAMES - 1)
                await eventually(lambda: new.frames == list(range(begin, 130)), what="the turn with what was before it")
                assert old.frames == list(range(120))
                await call.end()


async def test_if_the_previous_owner_dies_in_the_middle_its_last_frames_are_heard_again(
    clients: RedisClients, ten: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audio heard twice is better than lost audio: a dead relay cannot store where it stopped."""
    second = Script(greets=[created("sess_2")], steps=[Step("session.update", [])])
    async with scripted(opened(), second) as service:
        target = model_target(service.url)
        async with (
            relay_process(clients, target) as here,
            relay_process(clients, target, name="relay-2", capacity=0, stop_within_s=0.2) as there,
        ):
            call = ten[0]
            old = await _connected(call, service)
            call.speak_numbered(range(60))
            await eventually(lambda: old.frames == list(range(60)))
            there.worker.capacity = 10
            draining = asyncio.create_task(here.worker.drain())
            new = await until_open(service, 1)
            call.speak_numbered(range(60, 80))
            await eventually(lambda: old.frames == list(range(80)))
            draining.cancel()
            monkeypatch.setattr(here.context.leases, "note_stop", AsyncMock())  # a dying process stores nothing
            await here.kill()
            await new.push(updated("sess_2", ""))
            begin = 60 - PREROLL_FRAMES + 1
            await eventually(lambda: new.frames == list(range(begin, 80)))
            await call.end()


async def test_a_draining_relay_keeps_its_call_while_there_is_no_other_relay(
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
        assert relay.worker.active == 1, "and claims no other call"
        assert not draining.done()
        await ten[0].end()
        await asyncio.wait_for(draining, 4)


async def test_a_next_owner_without_a_session_does_not_mute_the_previous_owner(
    clients: RedisClients, ten: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next owner cannot reach Voice Live. It releases the call repeatedly, and writes nothing to its downlink."""
    monkeypatch.setattr(fleet, "DEAD_AFTER_MS", 10_000)
    async with (
        scripted(opened()) as service,
        relay_process(clients, model_target(service.url), hand_over=HandOverLimits(overlap_s=0.2)) as here,
    ):
        old = await _connected(ten[0], service)
        unreachable = model_target("ws://127.0.0.1:1")
        async with relay_process(clients, unreachable, name="relay-2", budget_s=0.2, limits=AT_ONCE) as there:
            draining = asyncio.create_task(here.worker.drain())
            await eventually(lambda: there.worker.active)
            await eventually(lambda: not there.worker.active, what="the call returned")
            ten[0].speak(10)
            await eventually(lambda: len(old.audio) == 10 * 960)
            await old.push(*reply("resp_1", "item_1", "One moment.", SECOND))
            await eventually(lambda: ten[0].of(ItemEnd))
            assert not draining.done()
            assert not ten[0].of(Hold)
            await there.kill()
        await ten[0].end()
        await asyncio.wait_for(draining, 4)
        await ten[0].told(VoiceReady)
        assert not any(isinstance(entry, VoiceLost) for entry in ten[0].inbox)


async def test_calls_wait_here_for_the_connection_quota(
    clients: RedisClients, ten: list[Call], caplog: pytest.LogCaptureFixture
) -> None:
    """Two of four connections are taken, the limit for hand-overs in the first half of the drain."""
    caplog.set_level(logging.INFO)
    async with scripted(*[opened(session_id=f"sess_{n}") for n in range(4)]) as service:
        target = model_target(service.url)
        async with relay_process(clients, target, per_minute=4, back_after_ms=2_000) as here:
            await _two_with_a_session(ten, service)
            async with relay_process(clients, target, per_minute=4, back_after_ms=2_000, name="relay-2"):
                draining = asyncio.create_task(here.worker.drain())
                await eventually(lambda: "hand-over waits for the connection quota" in caplog.text)
                assert here.worker.active == 2
                assert len(service.sessions) == 2
                await asyncio.wait_for(draining, 8)
                assert len(service.sessions) == 4
                for call in ten[:2]:
                    await call.end()


async def test_in_the_second_half_of_the_drain_they_may_take_every_connection(
    clients: RedisClients, ten: list[Call]
) -> None:
    async with scripted(*[opened(session_id=f"sess_{n}") for n in range(4)]) as service:
        target = model_target(service.url)
        async with relay_process(clients, target, per_minute=4) as here:
            await _two_with_a_session(ten, service)
            async with relay_process(clients, target, per_minute=4, name="relay-2"):
                began = time.monotonic()
                await asyncio.wait_for(here.worker.drain(2.0), 8)
                assert time.monotonic() - began >= 1.0
                for call in ten[:2]:
                    await call.end()


async def test_calls_are_not_handed_over_all_at_once(clients: RedisClients, ten: list[Call]) -> None:
    hesitant = Script(greets=[created("sess_2")], steps=[Step("session.update", [])])
    async with scripted(opened(), opened(session_id="sess_1"), hesitant, opened(session_id="sess_3")) as service:
        target = model_target(service.url)
        async with relay_process(clients, target, hand_over=HandOverLimits(at_once=1)) as here:
            await _two_with_a_session(ten, service)
            async with relay_process(clients, target, name="relay-2"):
                draining = asyncio.create_task(here.worker.drain())
                await eventually(lambda: len(service.sessions) == 3)
                await asyncio.wait([draining], timeout=5 * POLL_MS / 1000)
                assert len(service.sessions) == 3, "the second call waits for the first"
                await service.sessions[2].push(updated("sess_2", ""))
                await asyncio.wait_for(draining, 5)
                assert len(service.sessions) == 4
                for call in ten[:2]:
                    await call.end()


async def test_a_call_that_no_relay_claims_stays_here(clients: RedisClients, ten: list[Call]) -> None:
    """A peer with free capacity does not claim the call: it has died, or cannot reach its calls."""
    async with (
        scripted(opened()) as service,
        relay_process(clients, model_target(service.url), hand_over=HandOverLimits(overlap_s=0.2)) as relay,
    ):
        old = await _connected(ten[0], service)
        (owned,) = relay.worker.owned_calls.values()
        await Fleet(clients.control, "relay-2", KIND).beat(capacity=10, active=0, draining=False)
        draining = asyncio.create_task(relay.worker.drain())
        await eventually(lambda: owned.handing_over is not None)
        await eventually(lambda: owned.handing_over is None, what="the call returned")
        ten[0].speak(10)
        await eventually(lambda: len(old.audio) == 10 * 960)
        await old.push(*reply("resp_1", "item_1", "Still here.", SECOND))
        await eventually(lambda: ten[0].of(ItemEnd))
        assert not draining.done()
        await ten[0].end()
        await asyncio.wait_for(draining, 4)


async def _connected(call: Call, service: ScriptedVoiceLive) -> Session:
    await call.begin()
    session = await until_open(service, 0)
    await call.attach()
    await eventually(call.announced)
    return session


async def _two_with_a_session(ten: list[Call], service: ScriptedVoiceLive) -> None:
    for number in range(2):
        await ten[number].begin()
        await until_open(service, number)
        await eventually(ten[number].announced)


def _stamp_all(worker: RelayWorker) -> None:
    """Append a latency probe to every call, as the worker does once a second."""
    for owned in worker.owned_calls.values():
        assert owned.relay is not None
        owned.relay.stamp()


class _Counting:
    """Wraps a relay, because attributes of a compiled relay cannot be replaced."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.ticks = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._relay, name)

    def tick(self, now: float) -> None:
        self.ticks += 1
        self._relay.tick(now)


async def _ticked(worker: RelayWorker) -> None:
    """Wait for two ticks of the call."""
    (owned,) = worker.owned_calls.values()
    assert owned.relay is not None
    counting = _Counting(owned.relay)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owned, "relay", counting)
        await eventually(lambda: counting.ticks >= 2)
