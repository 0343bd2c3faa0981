"""The voice sessions of one call with a scripted service: lost, reopened, rejected, rolled over."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.uplink_cursor import KEPT_FRAMES, PREROLL_FRAMES
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.audio import bytes_of_ms
from bridge_common.wire.entries import Dtmf, Hold, ItemEnd, Played, VoiceLost
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
    created,
    opened,
    reply,
    scripted,
    until_open,
    updated,
)
from tests.support.eventually import eventually

SECOND = bytes(range(250)) * (bytes_of_ms(1000, 24_000) // 250)


@pytest.fixture
async def call(clients: RedisClients) -> AsyncIterator[Call]:
    async with calls(clients) as ten:
        yield ten[0]


async def test_a_lost_session_is_won_back_with_its_history_and_no_second_greeting(
    clients: RedisClients, call: Call
) -> None:
    first = opened(Step("response.create", reply("resp_1", "item_1", "Welcome!", SECOND)))
    said = [
        Step("conversation.item.create", where=lambda e: "Welcome!" in str(e) and e["item"]["role"] == "assistant"),
        Step("conversation.item.create", where=lambda e: "Where is it?" in str(e) and e["item"]["role"] == "user"),
        Step("response.create", reply("resp_2", "item_3", "It is here.", SECOND)),
    ]
    profile = AgentProfile(greeting=Greeting(text="Welcome!"))
    async with (
        scripted(first, Script(refuses=503), opened(*said, session_id="sess_2")) as service,
        relay_process(clients, model_target(service.url), profile=profile),
    ):
        await call.begin()
        session = await until_open(service, 0)
        await call.attach()
        call.speak()
        await eventually(lambda: call.of(ItemEnd))
        call.send(Played("item_1", 1000, True))
        await eventually(call.turns)
        await session.push(*caller_said("item_2", "Where is it?"))
        await eventually(lambda: _turns(call, 2))
        session.drop()
        await eventually(lambda: call.noticed("voice_lost"))
        call.speak(2)
        await until_open(service, 2)
        await eventually(lambda: len(call.of(ItemEnd)) == 2)
        await eventually(lambda: len(service.sessions[2].audio) == 2 * 960)
        await eventually(lambda: call.noticed("voice_lost", "voice_resumed"))
        assert (await call.notices()).count("greeting") == 1
        await call.end()


async def test_an_agents_conversation_goes_on_by_its_id(clients: RedisClients, call: Call) -> None:
    scripts = [opened(conversation_id="conv_7"), opened(session_id="sess_2", conversation_id="conv_7")]
    async with scripted(*scripts) as service, relay_process(clients, agent_target(service.url), tokens=minted_tokens()):
        await call.begin()
        session = await until_open(service, 0)
        assert "conversation-id" not in session.path
        await eventually(lambda: _conversation(call, "conv_7"))
        await session.close(1001, "session_expired")
        second = await until_open(service, 1)
        assert "conversation-id=conv_7" in second.path
        assert "agent-name=agent" in second.path
        await call.end()


async def test_before_a_session_expires_the_next_one_takes_its_place(clients: RedisClients, call: Call) -> None:
    expiring = updated("sess_1", "conv_1")
    expiring["session"]["expires_at"] = int(time.time()) + 3
    first = Script(greets=[created("sess_1")], steps=[Step("session.update", [expiring])])
    second = opened(session_id="sess_2", conversation_id="conv_1")
    async with (
        scripted(first, second) as service,
        relay_process(clients, agent_target(service.url), tokens=minted_tokens()),
    ):
        await call.begin()
        old = await until_open(service, 0)
        await call.attach()
        call.speak(5)
        await eventually(lambda: len(old.audio) == 5 * 960)
        new = await until_open(service, 1)
        assert time.time() < expiring["session"]["expires_at"], "in time"
        assert "conversation-id=conv_1" in new.path

        async def heard_by_the_new() -> bool:
            call.speak()
            return len(new.audio) > 0

        await eventually(heard_by_the_new)
        call.speak(5)
        frames = len(old.audio) + len(new.audio)
        await eventually(lambda: len(old.audio) + len(new.audio) >= frames + 5 * 960)
        await eventually(lambda: old.connection is not None and old.connection.close_code == 1000)
        await eventually(lambda: call.noticed("voice_resumed"))
        assert await call.notices() == ["voice_lost", "voice_resumed"]
        assert not call.of(Hold)
        await call.end()


async def test_what_a_session_that_is_given_up_swallowed_is_sent_to_the_next_one(
    clients: RedisClients, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    """The session has received the frames before its last event; it may not have received later ones."""
    async with (
        scripted(opened(), opened(session_id="sess_2")) as service,
        relay_process(clients, model_target(service.url)) as relay,
    ):
        await call.begin()
        session = await until_open(service, 0)
        await call.attach()
        call.speak_numbered(range(40))
        await eventually(lambda: len(session.audio) == 40 * 960)
        await session.push({"type": "error", "error": {"code": "drill", "message": "a sign of life"}})
        await eventually(lambda: "Voice Live reported an error" in caplog.text)
        call.speak_numbered(range(40, 60))
        await eventually(lambda: len(session.audio) == 60 * 960)
        (holding,) = relay.worker.owned_calls.values()
        assert holding.relay is not None
        holding.relay._voice.abandon("the voice session does not answer any more", retry=True)
        second = await until_open(service, 1)
        call.speak_numbered(range(60, 70))
        await eventually(lambda: second.frames == list(range(40, 70)))
        await call.end()


@pytest.mark.parametrize("speaks", [False, True])
async def test_a_session_that_closes_in_order_has_heard_all_but_a_turn_that_is_not_over(
    clients: RedisClients, call: Call, speaks: bool
) -> None:
    async with (
        scripted(opened(), opened(session_id="sess_2")) as service,
        relay_process(clients, model_target(service.url)),
    ):
        await call.begin()
        session = await until_open(service, 0)
        await call.attach()
        call.speak_numbered(range(60))
        await eventually(lambda: len(session.audio) == 60 * 960)
        if speaks:
            await session.push(caller_said("item_1", "")[0])
        await session.push({"type": "error", "error": {"code": "session_expired", "message": "60 minutes"}})
        await session.close(1001, "session_expired")
        second = await until_open(service, 1)
        call.speak_numbered(range(60, 70))
        first = 60 - PREROLL_FRAMES if speaks else 60
        await eventually(lambda: second.frames == list(range(first, 70)))
        await call.end()


async def test_a_long_gap_plays_the_hold_tone_and_keeps_the_callers_last_words(
    clients: RedisClients, call: Call
) -> None:
    tones_told = [Step("conversation.item.create"), Step("response.create")]
    silent = Script(greets=[created()], steps=[Step("session.update"), *tones_told])
    async with scripted(opened(), silent) as service, relay_process(clients, model_target(service.url)):
        await call.begin()
        session = await until_open(service, 0)
        await call.attach()
        call.speak()
        await eventually(lambda: len(session.audio) == 960)
        session.drop()
        await eventually(lambda: Hold(True) in call.downlink)
        call.speak(KEPT_FRAMES + 50)
        call.send(Dtmf("#"))
        await eventually(lambda: call.noticed("keys"), what="the relay has read all of it")
        second = await until_open(service, 1)
        assert not second.audio, "no audio before the session is configured"
        await second.push({"type": "session.updated", "session": {"id": "sess_2"}})
        await eventually(lambda: Hold(False) in call.downlink)
        await eventually(lambda: len(second.audio) == KEPT_FRAMES * 960, what="the last five seconds")
        await call.end()


async def test_a_service_that_refuses_for_good_loses_the_voice_at_once(clients: RedisClients, call: Call) -> None:
    async with scripted(Script(refuses=404)) as service, relay_process(clients, model_target(service.url)):
        await call.begin()
        lost = await call.told(VoiceLost)
        assert isinstance(lost, VoiceLost)
        assert "404" in lost.reason
        await call.end()


async def test_a_wrong_agent_is_refused_on_the_open_socket(clients: RedisClients, call: Call) -> None:
    error = {"type": "error", "error": {"code": "agent_initialization_failed", "message": "no such agent"}}
    scripts = [Script(greets=[error])] * 2
    async with scripted(*scripts) as service, relay_process(clients, model_target(service.url)):
        await call.begin()
        await eventually(lambda: len(service.sessions) == 1 and service.sessions[0].connection)
        await service.sessions[0].close(1008)
        await eventually(lambda: len(service.sessions) == 2 and service.sessions[1].connection)
        await service.sessions[1].close(1008)
        lost = await call.told(VoiceLost)
        assert isinstance(lost, VoiceLost)
        assert "no such agent" in lost.reason
        await call.end()


async def test_the_budget_bounds_the_attempts(clients: RedisClients, call: Call) -> None:
    async with relay_process(clients, model_target("ws://127.0.0.1:1"), budget_s=0.5):
        await call.begin()
        began = time.monotonic()
        await call.told(VoiceLost)
        assert time.monotonic() - began < 3
        await call.end()


async def _turns(call: Call, count: int) -> list[tuple[str, str, int]]:
    turns = await call.turns()
    return [(turn.role, turn.text, turn.first_delta_ms) for turn in turns] if len(turns) == count else []


async def _conversation(call: Call, conversation_id: str) -> bool:
    record = await call.store.load(call.call_id)
    return record is not None and record.conversation_id == conversation_id
