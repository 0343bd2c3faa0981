"""A running call whose voice session is refused: what is asked of whom, and what the caller hears meanwhile."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from bridge_common.audio import bytes_of_ms
from bridge_common.entries import Hold, VoiceLost
from bridge_common.redis_clients import RedisClients
from eventually import eventually
from relay_call import Call, agent_target, calls, minted_tokens, model_target, relay_process
from scripted_voice_live import Script, Step, caller_said, opened, reply, scripted, until_open

SECOND = bytes(bytes_of_ms(1000, 24_000))


@pytest.fixture
async def call(clients: RedisClients) -> AsyncIterator[Call]:
    async with calls(clients) as ten:
        yield ten[0]


async def test_while_connections_are_refused_nobody_asks_and_then_the_call_goes_on(
    clients: RedisClients, call: Call
) -> None:
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
        assert time.monotonic() - refused_at > 0.8, "as long as it said"
        assert Hold(True) in call.downlink
        await call.end()


async def test_a_new_call_for_which_no_connection_is_left_is_given_up_at_once(
    clients: RedisClients, call: Call
) -> None:
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
            assert "no connection" in lost.reason
        await first.end()


async def test_an_agents_call_that_moves_to_another_resource_tells_what_was_said(
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
        await eventually(lambda: moved.used == 3, what="the history is told")
        await eventually(lambda: _conversation(call, "conv_of_the_other"))
        record = await call.store.load(call.call_id)
        assert record is not None
        assert record.voice_resource == relay.desk.voice.dialers[1].resource
        await call.end()


async def _conversation(call: Call, conversation_id: str) -> bool:
    record = await call.store.load(call.call_id)
    return record is not None and record.conversation_id == conversation_id
