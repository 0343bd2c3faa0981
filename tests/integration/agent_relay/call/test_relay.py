"""One call at a real relay with real Redis and a scripted Voice Live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.audio import bytes_of_ms
from bridge_common.wire.entries import Audio, Clear, Dtmf, Ended, ItemEnd, Played, Playing, Turn, VoiceReady
from tests.integration.support.relay_call import Call, calls, model_target, relay_process
from tests.integration.support.scripted_voice_live import (
    Script,
    Session,
    Step,
    caller_said,
    opened,
    reply,
    scripted,
    until_open,
)
from tests.support.eventually import eventually

SECOND = bytes(range(250)) * (bytes_of_ms(1000, 24_000) // 250)


@pytest.fixture
async def call(clients: RedisClients) -> AsyncIterator[Call]:
    async with calls(clients) as ten:
        yield ten[0]


async def test_a_call_is_greeted_heard_answered_and_left(clients: RedisClients, call: Call) -> None:
    greeting = reply("resp_1", "item_1", "Welcome!", SECOND)
    script = opened(Step("response.create", greeting, where=lambda e: "Welcome!" in str(e)))
    profile = AgentProfile(greeting=Greeting(text="Welcome!"))
    async with scripted(script) as service, relay_process(clients, model_target(service.url), profile=profile):
        await call.begin()
        ready = await call.told(VoiceReady)
        assert isinstance(ready, VoiceReady)
        session = await until_open(service, 0)
        assert session.types() == ["session.update"], "no greeting while the phone rings"
        await call.attach()
        call.speak(3)
        await eventually(lambda: call.of(ItemEnd))
        assert b"".join(e.pcm24k for e in call.downlink if isinstance(e, Audio)) == SECOND
        call.send(Playing("item_1"), Played("item_1", 1000, True))
        await eventually(call.turns)
        await eventually(lambda: len(session.audio) == 3 * 960)
        await session.push(*caller_said("item_2", "Where is my order?"), *reply("resp_2", "item_3", "Here.", SECOND))
        await eventually(lambda: len(call.of(ItemEnd)) == 2)
        call.send(Playing("item_3"), Played("item_3", 1000, True))
        turns = await eventually(lambda: _turns(call, 3))
        assert [(turn[0], turn[1]) for turn in turns] == [
            ("agent", "Welcome!"),
            ("caller", "Where is my order?"),
            ("agent", "Here."),
        ]
        assert turns[2][2] >= 0, "the answer has its latency"
        record = await call.store.load(call.call_id)
        assert record is not None
        assert record.greeted
        assert record.voice_session_id == "sess_1"
        began = time.monotonic()
        await call.end()
        assert session.connection is not None
        await asyncio.wait_for(session.connection.wait_closed(), 10)
        assert time.monotonic() - began < 5.0
        assert session.connection.close_code == 1000


async def test_barge_in_clears_and_truncates_to_what_was_heard(clients: RedisClients, call: Call) -> None:
    truncate = Step("conversation.item.truncate", where=lambda e: e["audio_end_ms"] == 420 and e["item_id"] == "item_1")
    async with scripted(opened(truncate)) as service, relay_process(clients, model_target(service.url)):
        await call.begin()
        session = await until_open(service, 0)
        await call.attach()
        call.speak()
        await session.push(*reply("resp_1", "item_1", "one two three four", SECOND))
        await eventually(lambda: call.of(ItemEnd))
        await session.push({"type": "input_audio_buffer.speech_started", "item_id": "item_2"})
        await eventually(lambda: call.of(Clear))
        late = {"type": "response.audio.delta", "response_id": "resp_1", "item_id": "item_1", "delta": "AAAAAA=="}
        await session.push(late)
        call.send(Played("item_1", 420, False))
        await eventually(lambda: session.used == 2)
        (turn,) = await eventually(call.turns)
        assert (turn.text, turn.interrupted, turn.heard_ms) == ("one two", True, 420)
        assert not call.of(Audio)[4:], "no further audio of a cleared item"
        await call.end()


async def test_tones_reach_the_agent(clients: RedisClients, call: Call) -> None:
    steps = [
        Step("conversation.item.create", where=lambda e: e["item"]["content"][0]["text"] == "[keypad] 12#"),
        Step("response.create"),
    ]
    async with scripted(opened(*steps)) as service, relay_process(clients, model_target(service.url)):
        await call.begin()
        session = await until_open(service, 0)
        await call.attach()
        call.send(Dtmf("1"), Dtmf("2"), Dtmf("#"))
        await eventually(lambda: session.used == 3)
        await eventually(lambda: call.noticed("keys"))
        await call.end()


async def test_without_a_transcript_only_the_next_relay_knows_what_was_said(clients: RedisClients, call: Call) -> None:
    greeting = reply("resp_1", "item_1", "Welcome!", SECOND)
    script = opened(Step("response.create", greeting))
    replayed = opened(Step("conversation.item.create", where=lambda e: "Welcome!" in str(e)))
    profile = AgentProfile(greeting=Greeting(text="Welcome!"), transcript=False)
    async with scripted(script, replayed) as service:
        target = model_target(service.url)
        async with relay_process(clients, target, profile=profile) as first:
            await call.begin()
            await call.told(VoiceReady)
            await call.attach()
            call.speak(3)
            await eventually(lambda: call.of(ItemEnd))
            call.send(Playing("item_1"), Played("item_1", 1000, True))

            async def written() -> bool:
                return any(isinstance(entry, Turn) for entry in await call.store.read_whole_transcript(call.call_id))

            await eventually(written)
            assert await call.store.read_transcript(call.call_id) == []
            await first.kill()
        async with relay_process(clients, target, profile=profile, name="relay-2"):
            second = await until_open(service, 1)
            await eventually(lambda: second.used == 2)
            await call.end()
            await eventually(lambda: second.connection is not None and second.connection.state.name == "CLOSED")
    assert await call.store.read_whole_transcript(call.call_id) == []


async def test_a_tool_answers_the_agent(clients: RedisClients, call: Call) -> None:
    async def lookup(arguments: str) -> str:
        return f"found {arguments}"

    steps = [
        Step("conversation.item.create", where=lambda e: e["item"]["output"] == 'found {"id":7}'),
        Step("response.create"),
    ]
    calling = {
        "type": "response.function_call_arguments.done",
        "response_id": "resp_1",
        "item_id": "item_1",
        "call_id": "call_1",
        "name": "lookup",
        "arguments": '{"id":7}',
    }
    async with (
        scripted(opened(*steps)) as service,
        relay_process(clients, model_target(service.url), tools={"lookup": lookup}),
    ):
        await call.begin()
        session = await until_open(service, 0)
        done = {"type": "response.done", "response": {"id": "resp_1", "status": "completed"}}
        await session.push({"type": "response.created", "response": {"id": "resp_1"}}, calling, done)
        await eventually(lambda: session.used == 3)
        await eventually(call.notices)
        await call.end()


async def test_malformed_events_cost_nothing(clients: RedisClients, call: Call) -> None:
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)):
        await call.begin()
        session = await until_open(service, 0)
        await call.attach()
        call.speak()
        assert session.connection is not None
        for bad in ("no json", "[]", '{"type":"response.audio.delta"}', b"\x00\x01"):
            await session.connection.send(bad)
        await session.push(*reply("resp_1", "item_1", "Still here.", SECOND))
        await eventually(lambda: call.of(ItemEnd))
        await call.end()


async def test_a_call_that_ends_while_its_session_is_being_opened(clients: RedisClients, call: Call) -> None:
    never = Script(greets=[], steps=[])
    async with scripted(never) as service, relay_process(clients, model_target(service.url)) as relay:
        await call.begin()
        await eventually(lambda: service.sessions and service.sessions[0].connection)
        assert relay.worker.active == 1
        await call.end()
        await eventually(lambda: relay.worker.active == 0)


async def test_a_process_that_ends_among_a_calls_last_words_leaves_nothing_running(
    clients: RedisClients, call: Call
) -> None:
    """The call has ended while a function runs; `no_task_is_left` checks for leaked tasks."""
    asked = asyncio.Event()

    async def ponder(_: str) -> str:
        asked.set()
        await asyncio.Event().wait()
        return "never"

    wanted = {"type": "response.function_call_arguments.done", "response_id": "resp_1", "item_id": "item_1"}
    async with scripted(opened()) as service:
        async with relay_process(clients, model_target(service.url), tools={"ponder": ponder}):
            await call.begin()
            session = await until_open(service, 0)
            await call.attach()
            created = {"type": "response.created", "response": {"id": "resp_1"}}
            await session.push(created, {**wanted, "call_id": "call_1", "name": "ponder", "arguments": "{}"})
            await asyncio.wait_for(asked.wait(), 5)
            await call.store.end_streams(call.call_id, "over")
            assert session.connection is not None
            await asyncio.wait_for(session.connection.wait_closed(), 10)
        await call.leases.end(call.call_id)


async def test_the_end_of_the_streams_is_enough(clients: RedisClients, call: Call) -> None:
    """The relay notices the end of the uplink sooner than a failed lease renewal."""
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)) as relay:
        await call.begin()
        await until_open(service, 0)
        await call.store.end_streams(call.call_id, "over")
        await eventually(lambda: relay.worker.active == 0)
        assert Ended("over") not in call.downlink
        await call.leases.end(call.call_id)


async def _turns(call: Call, count: int) -> list[tuple[str, str, int]]:
    turns = await call.turns()
    return [(turn.role, turn.text, turn.first_delta_ms) for turn in turns] if len(turns) == count else []


def _heard(session: Session, frames: int) -> bool:
    return len(session.audio) >= frames * 960
