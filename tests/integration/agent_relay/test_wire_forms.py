"""Variants of the protocol, played by the simulated service: the caller hears the same in each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.audio import FRAME_MS, ms_of_bytes
from bridge_common.wire.entries import Audio, AudioFrame, Clear, ItemEnd, Played, Playing, VoiceReady
from lab.speech import synthesize
from lab.voice_live.settings import DEFAULT_API_KEY
from tests.integration.support.relay_call import Call, calls, relay_process
from tests.support.eventually import eventually
from tests.support.simulators import Simulator, simulator

AGENT = {
    "mode": "script",
    "greeting": "Welcome to Contoso. How can I help you?",
    "replies": [
        {"heard": "Where is my order?", "say": "It is on its way and will arrive tomorrow before noon."},
        {"heard": "Which street?", "call": {"name": "lookup", "arguments": {"id": 7}}, "say": "Main Street."},
    ],
}
CONVERSATION = [
    ("agent", "Welcome to Contoso. How can I help you?"),
    ("caller", "Where is my order?"),
    ("agent", "It is on its way and will arrive tomorrow before noon."),
    ("caller", "Which street?"),
    ("agent", "Main Street."),
]
PROFILE = AgentProfile(greeting=Greeting(say_how="Greet the caller."))
FAST = {"SPEED": "0", "REPLY_DELAY_S": "0.05", "SESSION_SETUP_S": "0.01"}


@pytest.fixture
async def call(clients: RedisClients) -> AsyncIterator[Call]:
    async with calls(clients) as ten:
        yield ten[0]


async def look_up(_arguments: str) -> str:
    return "found"


def model(voice_live: Simulator) -> VoiceTarget:
    return VoiceTarget(
        mode=Mode.MODEL, endpoint=voice_live.url, api_version="2026-07-15", model="gpt-4.1", api_key=DEFAULT_API_KEY
    )


def azure_openai(voice_live: Simulator, *, ga: bool) -> VoiceTarget:
    return VoiceTarget(
        mode=Mode.AZURE_OPENAI_GA if ga else Mode.AZURE_OPENAI,
        endpoint=voice_live.url,
        api_version="v1" if ga else "2024-10-01-preview",
        deployment="my-realtime",
        api_key=DEFAULT_API_KEY,
    )


async def begin(call: Call, voice_live: Simulator, **faults: object) -> None:
    await voice_live.put("/lab/agent", AGENT)
    await voice_live.put("/lab/faults", faults)
    await call.begin()
    await call.told(VoiceReady)
    await call.attach()
    call.speak()


async def say(call: Call) -> None:
    """Send speech and the silence after it, faster than real time. The script contains its text."""
    pcm = synthesize("Hello there", 24_000) + bytes(48 * 1000)
    size = 48 * FRAME_MS
    for at in range(0, len(pcm) - size, size * 40):
        call.send(*[AudioFrame(pcm[i : i + size]) for i in range(at, min(at + size * 40, len(pcm) - size), size)])
        await call.flush()


async def listen(call: Call, count: int) -> str:
    """Wait until the agent has finished speaking. Return the id of the item."""
    await eventually(lambda: len(call.of(ItemEnd)) == count, within_s=10, what=f"item {count}")
    end = call.of(ItemEnd)[-1]
    assert isinstance(end, ItemEnd)
    call.send(Playing(end.item_id), Played(end.item_id, int(ms_of_bytes(len(heard(call, end)), 24_000)), True))
    return end.item_id


def heard(call: Call, end: ItemEnd) -> bytes:
    return b"".join(e.pcm24k for e in call.downlink if isinstance(e, Audio) and e.item_id == end.item_id)


async def texts(call: Call, count: int) -> list[tuple[str, str]]:
    async def enough() -> list[tuple[str, str]]:
        turns = sorted(await call.turns(), key=lambda turn: turn.at_ms)
        return [(turn.role, turn.text) for turn in turns] if len(turns) >= count else []

    found: list[tuple[str, str]] = await eventually(enough)
    return found


async def session(voice_live: Simulator, number: int = 0) -> dict[str, Any]:
    async def there() -> dict[str, Any]:
        found = (await voice_live.get("/lab/sessions"))["sessions"]
        assert isinstance(found, list)
        return found[number] if len(found) > number else {}

    summary: dict[str, Any] = await eventually(there)
    return await voice_live.get(f"/lab/sessions/{summary['id']}")


async def converse(call: Call) -> None:
    """Play the whole script: a greeting, an answer, a function."""
    await listen(call, 1)
    await say(call)
    await listen(call, 2)
    await say(call)
    await listen(call, 3)
    assert await texts(call, 5) == CONVERSATION


async def heard_as_it_was_sent(call: Call, voice_live: Simulator) -> None:
    id_ = (await session(voice_live))["id"]
    for end in call.of(ItemEnd):
        assert isinstance(end, ItemEnd)
        sent = (await voice_live.http.get(f"/lab/sessions/{id_}/speech/{end.item_id}")).content
        assert heard(call, end) == sent


@pytest.mark.parametrize("ga", [True, False])
async def test_azure_openai_preview_and_ga(clients: RedisClients, call: Call, voice_live: Simulator, ga: bool) -> None:
    async with relay_process(clients, azure_openai(voice_live, ga=ga), profile=PROFILE, tools={"lookup": look_up}):
        await begin(call, voice_live)
        await converse(call)
        assert await call.notices() == ["greeting", "tool_begun", "tool_call"], "no setting was refused"
        first = await session(voice_live)
        assert (first["api_version"], first["openai_beta"]) == (
            ("v1", None) if ga else ("2024-10-01-preview", "realtime=v1")
        )
        await voice_live.post(f"/lab/sessions/{first['id']}/drop")
        await eventually(lambda: _resumed(call))
        second = await session(voice_live, 1)
        replayed = [item["text"] for item in second["items"] if item["type"] == "message"]
        assert replayed == [text for _, text in CONVERSATION]
        assert errors(first) == errors(second) == []
        await call.end()


def errors(session: dict[str, Any]) -> list[str]:
    """Return the codes of the errors that the service sent, without those of the probes."""
    codes = [mark["code"] for mark in session["timeline"] if mark["event"] == "error_sent"]
    return [code for code in codes if code != "item_retrieve_invalid_item_id"]


async def _resumed(call: Call) -> bool:
    return "voice_resumed" in await call.notices()


async def test_a_voice_live_that_uses_the_names_of_ga(clients: RedisClients, call: Call) -> None:
    async with (
        simulator("voice-live", **FAST, GA_EVENT_NAMES="1") as voice_live,
        relay_process(clients, model(voice_live), profile=PROFILE, tools={"lookup": look_up}),
    ):
        await begin(call, voice_live)
        await converse(call)
        await heard_as_it_was_sent(call, voice_live)
        await call.end()


async def test_an_item_of_two_audio_parts(clients: RedisClients, call: Call, voice_live: Simulator) -> None:
    async with relay_process(clients, model(voice_live), profile=PROFILE, tools={"lookup": look_up}):
        await begin(call, voice_live, parts={"pause_s": 0.3})
        await converse(call)
        await heard_as_it_was_sent(call, voice_live)
        await call.end()


async def test_deltas_that_end_with_half_a_sample(clients: RedisClients, call: Call, voice_live: Simulator) -> None:
    async with relay_process(clients, model(voice_live), profile=PROFILE, tools={"lookup": look_up}):
        await begin(call, voice_live, odd_deltas={})
        await converse(call)
        await heard_as_it_was_sent(call, voice_live)
        await call.end()


async def test_events_that_come_twice(clients: RedisClients, call: Call, voice_live: Simulator) -> None:
    repeated = [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.audio_transcript.done",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.done",
        "session.created",
        "session.updated",
    ]
    async with relay_process(clients, model(voice_live), profile=PROFILE, tools={"lookup": look_up}):
        await begin(call, voice_live, repeated={"types": repeated})
        await converse(call)
        await heard_as_it_was_sent(call, voice_live)
        assert (await call.notices()).count("tool_call") == 1
        assert len(await call.turns()) == len(CONVERSATION)
        await call.end()


@pytest.mark.parametrize("refuses", [True, False])
async def test_an_item_that_was_not_heard(clients: RedisClients, call: Call, refuses: bool) -> None:
    async with (
        simulator("voice-live", **FAST, REFUSE_TRUNCATION_AT_ZERO=str(int(refuses))) as voice_live,
        relay_process(clients, model(voice_live), profile=PROFILE, tools={"lookup": look_up}),
    ):
        await begin(call, voice_live)
        await listen(call, 1)
        await say(call)
        await eventually(lambda: len(call.of(ItemEnd)) == 2)
        end = call.of(ItemEnd)[-1]
        assert isinstance(end, ItemEnd)
        await say(call)
        await eventually(lambda: call.of(Clear))
        call.send(Played(end.item_id, 0, False))

        async def unheard() -> bool:
            items = {item["id"]: item["text"] for item in (await session(voice_live))["items"]}
            return items.get(end.item_id, "") == "" and (end.item_id in items) is not refuses

        await eventually(unheard)
        await listen(call, 3)
        assert errors(await session(voice_live)) == (["unsupported_content_type"] if refuses else [])
        await call.end()


@pytest.mark.parametrize("any_part", [True, False])
async def test_a_second_part_that_was_heard_partly(clients: RedisClients, call: Call, any_part: bool) -> None:
    async with (
        simulator("voice-live", **FAST, TRUNCATE_ANY_PART=str(int(any_part))) as voice_live,
        relay_process(clients, model(voice_live), profile=PROFILE, tools={"lookup": look_up}),
    ):
        await begin(call, voice_live, parts={})
        await listen(call, 1)
        await say(call)
        await eventually(lambda: len(call.of(ItemEnd)) == 2)
        end = call.of(ItemEnd)[-1]
        assert isinstance(end, ItemEnd)
        heard_ms = int(ms_of_bytes(len(heard(call, end)), 24_000)) - 500
        call.send(Playing(end.item_id))
        await say(call)
        await eventually(lambda: call.of(Clear))
        call.send(Played(end.item_id, heard_ms, False))
        await eventually(lambda: _truncated(voice_live))
        (cut,) = (await session(voice_live))["truncations"]
        assert cut["item_id"] == end.item_id
        assert heard_ms - 2 <= cut["audio_end_ms"] <= heard_ms
        await call.end()


async def _truncated(voice_live: Simulator) -> bool:
    return bool((await session(voice_live))["truncations"])
