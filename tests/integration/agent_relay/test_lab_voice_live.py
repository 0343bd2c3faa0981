"""The relay with the simulated Voice Live over a real socket, end to end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.voice_target import Mode, TokenScope, VoiceTarget
from bridge_common.auth.entra_tokens import Tokens
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.audio import FRAME_MS, ms_of_bytes
from bridge_common.wire.entries import (
    Audio,
    AudioFrame,
    Clear,
    ItemEnd,
    Played,
    Playing,
    VoiceLost,
    VoiceReady,
)
from lab.speech import synthesize
from lab.voice_live.settings import DEFAULT_API_KEY
from tests.integration.support.relay_call import Call, agent_target, calls, model_target, relay_process
from tests.support.eventually import eventually
from tests.support.simulators import Simulator

AGENT = {
    "mode": "script",
    "greeting": "Welcome to Contoso.",
    "replies": [
        {"heard": "Where is my order?", "say": "It is on its way and will arrive tomorrow before noon."},
        {"heard": "Which street?", "say": "Main Street."},
    ],
}
PROFILE = AgentProfile(greeting=Greeting(say_how="Greet the caller."))
AI_SCOPE = {TokenScope.AI: "https://ai.azure.com/.default"}


@pytest.fixture
async def call(clients: RedisClients) -> AsyncIterator[Call]:
    async with calls(clients) as ten:
        yield ten[0]


def _with_key(voice_live: Simulator) -> VoiceTarget:
    return VoiceTarget(
        mode=Mode.MODEL, endpoint=voice_live.url, api_version="2026-07-15", model="gpt-4.1", api_key=DEFAULT_API_KEY
    )


async def _say(call: Call, text: str) -> None:
    """Send speech of the caller and the silence after it, faster than real time."""
    pcm = synthesize(text, 24_000) + bytes(48 * 1000)
    size = 48 * FRAME_MS
    for at in range(0, len(pcm) - size, size * 40):
        call.send(*[AudioFrame(pcm[i : i + size]) for i in range(at, min(at + size * 40, len(pcm) - size), size)])
        await call.flush()


async def _listen(call: Call, count: int) -> str:
    """Wait until the agent has finished speaking. Return the id of the last item."""
    await eventually(lambda: len(call.of(ItemEnd)) == count, within_s=10, what=f"item {count}")
    item_id = _last_item(call)
    heard = sum(len(e.pcm24k) for e in call.downlink if isinstance(e, Audio) and e.item_id == item_id)
    call.send(Playing(item_id), Played(item_id, int(ms_of_bytes(heard, 24_000)), True))
    return item_id


def _last_item(call: Call) -> str:
    end = call.of(ItemEnd)[-1]
    assert isinstance(end, ItemEnd)
    return end.item_id


async def _session(voice_live: Simulator, number: int) -> dict[str, Any]:
    sessions: list[dict[str, Any]] = []

    async def there() -> bool:
        found = (await voice_live.get("/lab/sessions"))["sessions"]
        assert isinstance(found, list)
        sessions[:] = found
        return len(sessions) > number

    await eventually(there)
    return await voice_live.get(f"/lab/sessions/{sessions[number]['id']}")


async def _texts(call: Call, count: int) -> list[tuple[str, str]]:
    """Return the turns in the order of their starts. The transcript has them in the order of their ends."""

    async def enough() -> list[tuple[str, str]]:
        in_order = sorted(await call.turns(), key=lambda turn: turn.at_ms)
        turns = [(turn.role, turn.text) for turn in in_order]
        return turns if len(turns) >= count else []

    found: list[tuple[str, str]] = await eventually(enough)
    return found


async def test_greeting_turn_and_barge_in(clients: RedisClients, call: Call, voice_live: Simulator) -> None:
    await voice_live.put("/lab/agent", AGENT)
    async with relay_process(clients, _with_key(voice_live), profile=PROFILE):
        await call.begin()
        await call.told(VoiceReady)
        await call.attach()
        call.speak()
        await _listen(call, 1)
        await _say(call, "Where is my order?")
        await eventually(lambda: len(call.of(ItemEnd)) == 2)
        item_id = _last_item(call)
        call.send(Playing(item_id))
        await _say(call, "Which street?")
        await eventually(lambda: call.of(Clear))
        call.send(Played(item_id, 900, False))
        await _listen(call, 3)
        assert await _texts(call, 5) == [
            ("agent", "Welcome to Contoso."),
            ("caller", "Where is my order?"),
            ("agent", "It is on its way"),
            ("caller", "Which street?"),
            ("agent", "Main Street."),
        ]
        session = await _session(voice_live, 0)
        assert [cut["audio_end_ms"] for cut in session["truncations"]] == [900]
        assert not [mark for mark in session["timeline"] if mark["event"] == "error"]
        await call.end()


@pytest.mark.parametrize("mode", [Mode.AGENT, Mode.MODEL])
async def test_a_lost_session_is_resumed(
    clients: RedisClients, call: Call, voice_live: Simulator, identity: Simulator, mode: Mode
) -> None:
    await voice_live.put("/lab/agent", AGENT)
    target = agent_target(voice_live.url) if mode is Mode.AGENT else _with_key(voice_live)
    tokens = Tokens(AI_SCOPE)
    async with relay_process(clients, target, profile=PROFILE, tokens=tokens):
        await call.begin()
        await call.told(VoiceReady)
        await call.attach()
        call.speak()
        await _listen(call, 1)
        await _say(call, "Where is my order?")
        await _listen(call, 2)
        await _texts(call, 3)
        first = await _session(voice_live, 0)
        await voice_live.post(f"/lab/sessions/{first['id']}/drop")
        await _session(voice_live, 1)
        await eventually(lambda: _resumed(call))
        await _say(call, "Which street?")
        await _listen(call, 3)
        assert (await _texts(call, 5))[-2:] == [("caller", "Which street?"), ("agent", "Main Street.")]
        second = await _session(voice_live, 1)
        assert second["resumed"] is (mode is Mode.AGENT)
        assert (second["conversation_id"] == first["conversation_id"]) is (mode is Mode.AGENT)
        assert (await call.notices()).count("greeting") == 1
        await call.end()
    await tokens.aclose()


async def test_a_refused_token_and_a_busy_service_only_delay_a_call(
    clients: RedisClients, call: Call, voice_live: Simulator, identity: Simulator
) -> None:
    tokens = Tokens(AI_SCOPE)
    async with relay_process(clients, agent_target(voice_live.url), tokens=tokens):
        await voice_live.put("/lab/faults", {"handshake": {"status": 401, "times": 1}})
        await call.begin()
        await call.told(VoiceReady)
        await voice_live.put("/lab/faults", {"handshake": {"status": 503, "times": 2}})
        first = await _session(voice_live, 0)
        await voice_live.post(f"/lab/sessions/{first['id']}/close", {"code": 1001, "reason": "session_expired"})
        await _session(voice_live, 1)
        await eventually(lambda: _resumed(call))
        await call.end()
    await tokens.aclose()


async def test_a_token_for_the_wrong_audience_loses_the_voice(
    clients: RedisClients, call: Call, voice_live: Simulator, identity: Simulator
) -> None:
    tokens = Tokens({TokenScope.AI: "https://cognitiveservices.azure.com/.default"})
    async with relay_process(clients, agent_target(voice_live.url), tokens=tokens):
        await call.begin()
        lost = await call.told(VoiceLost)
        assert isinstance(lost, VoiceLost)
        assert "Unauthorized" in lost.reason
        await call.end()
    await tokens.aclose()


async def test_a_service_that_is_never_ready_loses_the_voice(
    clients: RedisClients, call: Call, voice_live: Simulator
) -> None:
    await voice_live.put("/lab/faults", {"handshake": {"status": 503}})
    async with relay_process(clients, model_target(voice_live.url), budget_s=0.5):
        await call.begin()
        lost = await call.told(VoiceLost)
        assert isinstance(lost, VoiceLost)
        assert "503" in lost.reason
        await call.end()


async def test_late_deltas_failed_responses_and_odd_events_are_tolerated(
    clients: RedisClients, call: Call, voice_live: Simulator
) -> None:
    await voice_live.put("/lab/agent", AGENT)
    await voice_live.put("/lab/faults", {"response_failed": {"times": 1}, "late_deltas": {}, "odd_events": {}})
    async with relay_process(clients, _with_key(voice_live), profile=PROFILE):
        await call.begin()
        await call.told(VoiceReady)
        await call.attach()
        call.speak()
        await _listen(call, 1)
        assert await _texts(call, 1) == [("agent", "Welcome to Contoso.")]
        assert "response_failed" in await call.notices()
        await call.end()


async def test_a_function_call_gets_its_output(clients: RedisClients, call: Call, voice_live: Simulator) -> None:
    reply = {"heard": "Look it up.", "call": {"name": "lookup", "arguments": {"id": 7}}, "say": "I found it."}
    await voice_live.put("/lab/agent", {"mode": "script", "replies": [reply]})
    asked: list[str] = []

    async def lookup(arguments: str) -> str:
        asked.append(arguments)
        return "found"

    async with relay_process(clients, _with_key(voice_live), tools={"lookup": lookup}):
        await call.begin()
        await call.told(VoiceReady)
        await call.attach()
        await _say(call, "Look it up.")
        await _listen(call, 1)
        assert (await _texts(call, 2))[-1] == ("agent", "I found it.")
        assert len(asked) == 1
        await call.end()


async def test_the_original_articles_handshake(clients: RedisClients, call: Call, voice_live: Simulator) -> None:
    await voice_live.put("/lab/agent", AGENT)
    target = VoiceTarget(
        mode=Mode.AZURE_OPENAI,
        endpoint=f"{voice_live.url}/openai/realtime",
        api_version="2024-10-01-preview",
        deployment="gpt-4o-realtime-preview",
        api_key=DEFAULT_API_KEY,
    )
    async with relay_process(clients, target, profile=PROFILE):
        await call.begin()
        await call.told(VoiceReady)
        await call.attach()
        call.speak()
        await _listen(call, 1)
        assert await _texts(call, 1) == [("agent", "Welcome to Contoso.")]
        assert await call.notices() == ["greeting"], "no setting was refused"
        await call.end()


async def test_a_classic_agent(clients: RedisClients, call: Call, voice_live: Simulator, identity: Simulator) -> None:
    await voice_live.put("/lab/agent", AGENT)
    target = VoiceTarget(
        mode=Mode.CLASSIC_AGENT,
        endpoint=voice_live.url,
        api_version="2026-01-01-preview",
        agent_id="asst_1",
        agent_project_name="project",
    )
    both = {**AI_SCOPE, TokenScope.COGNITIVE_SERVICES: "https://cognitiveservices.azure.com/.default"}
    tokens = Tokens(both)
    async with relay_process(clients, target, profile=PROFILE, tokens=tokens):
        await call.begin()
        await call.told(VoiceReady)
        await call.attach()
        call.speak()
        await _listen(call, 1)
        await call.end()
    await tokens.aclose()


async def _resumed(call: Call) -> bool:
    return "voice_resumed" in await call.notices()
