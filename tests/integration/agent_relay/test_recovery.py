"""Running calls that lose their voice session or relay: the requests to Voice Live, and the audio that the caller hears
meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from agent_relay.profiles import DEFAULT
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.audio import bytes_of_ms
from bridge_common.wire.entries import Clear, Hold, ItemEnd, Played, Playing, Saying, Turn, VoiceLost
from tests.integration.support.relay_call import (
    Call,
    agent_target,
    calls,
    minted_tokens,
    model_target,
    relay_process,
)
from tests.integration.support.scripted_voice_live import (
    Script,
    Step,
    caller_said,
    opened,
    reply,
    scripted,
    until_open,
)
from tests.support.eventually import eventually

SECOND = bytes(bytes_of_ms(1000, 24_000))


@pytest.fixture
async def call(clients: RedisClients) -> AsyncIterator[Call]:
    async with calls(clients) as ten:
        yield ten[0]


async def test_a_refused_call_waits_for_the_retry_after_and_continues(clients: RedisClients, call: Call) -> None:
    scripts = [opened(), Script(refuses=429, retry_after_s=1), opened(session_id="sess_2")]
    async with scripted(*scripts) as service, relay_process(clients, model_target(service.url)):
        await call.begin()
        session = await until_open(service, 0)
        await call.attach()
        call.speak()
        await eventually(lambda: session.audio)
        session.drop()
        refused_at = await eventually(lambda: len(service.sessions) == 2 and time.monotonic())
        await until_open(service, 2)
        assert time.monotonic() - refused_at > 0.5, "Retry-After applies, not the backoff"
        assert Hold(True) in call.downlink
        await call.end()


async def test_a_new_call_without_a_free_connection_fails_at_once(clients: RedisClients, call: Call) -> None:
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url), per_minute=1):
        first = call
        await first.begin()
        await until_open(service, 0)
        async with calls(clients) as others:
            await others[1].begin()
            began = time.monotonic()
            lost = await others[1].told(VoiceLost)
            assert isinstance(lost, VoiceLost)
            assert time.monotonic() - began < 3
            assert "connection quota" in lost.reason
        await first.end()


async def test_an_agents_call_that_moves_to_another_resource_replays_its_history(
    clients: RedisClients, call: Call
) -> None:
    told = [
        Step("conversation.item.create", where=lambda e: "Where is it?" in str(e)),
        Step("conversation.item.create", where=lambda e: "Here." in str(e)),
    ]
    home = [opened(conversation_id="conv_7"), Script(refuses=429, retry_after_s=60)]
    away = opened(*told, session_id="sess_2", conversation_id="conv_of_the_other")
    async with (
        scripted(*home) as first,
        scripted(away) as second,
        relay_process(
            clients, agent_target(first.url), further=[agent_target(second.url)], tokens=minted_tokens()
        ) as relay,
    ):
        await call.begin()
        session = await until_open(first, 0)
        await eventually(lambda: _conversation(call, "conv_7"))
        await session.push(*caller_said("item_1", "Where is it?"), *reply("resp_1", "item_2", "Here.", SECOND))
        await eventually(call.turns)
        session.drop()
        moved = await until_open(second, 0)
        assert "conversation-id" not in moved.path
        await eventually(lambda: moved.used == 3, what="the history is replayed")
        await eventually(lambda: _conversation(call, "conv_of_the_other"))
        record = await call.store.load(call.call_id)
        assert record is not None
        assert record.voice_resource == relay.context.agents[DEFAULT].voice.dialers[1].resource
        await call.end()


async def test_the_next_owner_can_interrupt_speech_of_the_previous_one(clients: RedisClients, call: Call) -> None:
    words = "one two three four"
    told = [
        Step("conversation.item.create", where=lambda e: "Count." in str(e)),
        Step("conversation.item.create", where=lambda e: words in str(e)),
    ]
    async with scripted(opened(), opened(*told, session_id="sess_2")) as service:
        target = model_target(service.url)
        async with relay_process(clients, target) as first:
            await call.begin()
            session = await until_open(service, 0)
            await call.attach()
            call.speak()
            await session.push(*caller_said("item_1", "Count."), *reply("resp_1", "item_2", words, SECOND))
            await eventually(lambda: call.of(ItemEnd))
            call.send(Playing("item_2"))
            await eventually(lambda: _is_noted(call))
            await first.kill()
        assert not [turn for turn in await call.turns() if turn.role == "agent"], "it is unknown how much was heard"
        async with relay_process(clients, target, name="relay-2"):
            new = await until_open(service, 1)
            await eventually(lambda: new.used == 3)
            await new.push({"type": "input_audio_buffer.speech_started", "item_id": "item_3"})
            await eventually(lambda: call.of(Clear))
            assert [entry.item_id for entry in call.of(Clear) if isinstance(entry, Clear)] == ["item_2"]
            call.send(Played("item_2", 420, False))
            turn = await eventually(lambda: _agents_turn(call))
            assert turn is not None
            assert (turn.text, turn.interrupted, turn.heard_ms) == ("one two", True, 420)
            await call.end()


async def test_a_tool_that_a_dead_relay_had_started_is_not_run_again(clients: RedisClients, call: Call) -> None:
    runs = 0

    async def pay(arguments: str) -> str:
        nonlocal runs
        runs += 1
        await asyncio.Event().wait()
        return arguments

    calling = {
        "type": "response.function_call_arguments.done",
        "response_id": "resp_1",
        "item_id": "item_2",
        "call_id": "call_1",
        "name": "pay",
        "arguments": "{}",
    }
    told = [
        Step("conversation.item.create", where=lambda e: "Pay it." in str(e)),
        Step("conversation.item.create", where=lambda e: e["item"]["type"] == "function_call"),
        Step("conversation.item.create", where=lambda e: "do not repeat it" in e["item"]["output"]),
        Step("response.create"),
    ]
    async with scripted(opened(), opened(*told, session_id="sess_2")) as service:
        target = model_target(service.url)
        async with relay_process(clients, target, tools={"pay": pay}) as first:
            await call.begin()
            session = await until_open(service, 0)
            await call.attach()
            call.speak()
            done = {"type": "response.done", "response": {"id": "resp_1", "status": "completed"}}
            await session.push(
                *caller_said("item_1", "Pay it."),
                {"type": "response.created", "response": {"id": "resp_1"}},
                calling,
                done,
            )
            await eventually(lambda: runs)
            await first.kill()
        async with relay_process(clients, target, name="relay-2", tools={"pay": pay}):
            new = await until_open(service, 1)
            await eventually(lambda: new.used == 5, what="the agent is asked to go on")
            assert runs == 1
            await call.end()


async def _is_noted(call: Call) -> bool:
    return any(isinstance(entry, Saying) for entry in await call.store.read_whole_transcript(call.call_id))


async def _agents_turn(call: Call) -> Turn | None:
    return next((turn for turn in await call.turns() if turn.role == "agent"), None)


async def _conversation(call: Call, conversation_id: str) -> bool:
    record = await call.store.load(call.call_id)
    return record is not None and record.conversation_id == conversation_id
