"""Each form of a request to speak a text, in each mode, with the strict validation of the simulated service."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agent_relay.core.protocol.spoken_text import Form
from agent_relay.core.protocol.voice_target import Mode, TokenScope, VoiceTarget
from bridge_common.auth.entra_tokens import Tokens
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.audio import ms_of_bytes
from bridge_common.wire.entries import Audio, ItemEnd, Notice, Played, Say
from lab.voice_live.settings import DEFAULT_API_KEY
from tests.integration.support.relay_call import Call, agent_target, calls, relay_process
from tests.support.eventually import eventually
from tests.support.simulators import Simulator, simulator

SENTENCES = ['He said "Wait here."', "Then he left."]
TEXT = " ".join(SENTENCES)


@pytest.fixture
async def call(clients: RedisClients) -> AsyncIterator[Call]:
    async with calls(clients) as ten:
        yield ten[0]


def model(voice_live: Simulator, version: str) -> VoiceTarget:
    return VoiceTarget(
        mode=Mode.MODEL, endpoint=voice_live.url, api_version=version, model="gpt-4.1", api_key=DEFAULT_API_KEY
    )


def azure_openai(voice_live: Simulator) -> VoiceTarget:
    return VoiceTarget(
        mode=Mode.AZURE_OPENAI,
        endpoint=voice_live.url,
        api_version="2024-10-01-preview",
        deployment="gpt-realtime",
        api_key=DEFAULT_API_KEY,
    )


async def spoken(voice_live: Simulator, call: Call) -> list[str]:
    """Let the text be spoken and heard. Return the texts that the service spoke."""
    await call.begin()
    await eventually(lambda: _session(voice_live))
    await call.attach()
    call.speak()
    await call.say(Say("say_1", 0, TEXT, last=True))
    await eventually(lambda: len(call.of(ItemEnd)) == len(SENTENCES), what="all is on the downlink")
    for end in call.of(ItemEnd):
        assert isinstance(end, ItemEnd)
        audio = sum(len(e.pcm24k) for e in call.downlink if isinstance(e, Audio) and e.item_id == end.item_id)
        assert audio > 24_000, "half a second and more"
        call.send(Played(end.item_id, int(ms_of_bytes(audio, 24_000)), True))
    await eventually(lambda: _told(call), what="the record says what became of it")
    assert [turn.text for turn in await call.turns()] == SENTENCES
    said = (await voice_live.get(f"/lab/sessions/{await _session(voice_live)}"))["said"]
    await call.end()
    assert isinstance(said, list)
    return [row["text"] for row in said]


async def _session(voice_live: Simulator) -> str:
    sessions = (await voice_live.get("/lab/sessions"))["sessions"]
    assert isinstance(sessions, list)
    return str(sessions[0]["id"]) if sessions else ""


async def _told(call: Call) -> bool:
    entries = [entry for _, entry in await call.store.read_transcript(call.call_id)]
    return any(isinstance(entry, Notice) and entry.what == "say" and "spoken" in entry.detail for entry in entries)


@pytest.mark.parametrize(
    ("version", "forms"),
    [
        ("2026-07-15", ()),
        ("2026-07-15", (Form.INSTRUCTIONS,)),
        ("2026-07-15", (Form.SYSTEM_ITEM,)),
        ("2025-10-01", ()),
        ("2025-10-01", (Form.PRE_GENERATED, Form.INSTRUCTIONS)),
    ],
)
async def test_models(
    clients: RedisClients, call: Call, voice_live: Simulator, version: str, forms: tuple[Form, ...]
) -> None:
    async with relay_process(clients, model(voice_live, version), say_forms=forms):
        assert await spoken(voice_live, call) == SENTENCES


async def test_azure_openai(clients: RedisClients, call: Call, voice_live: Simulator) -> None:
    async with relay_process(clients, azure_openai(voice_live)):
        assert await spoken(voice_live, call) == SENTENCES


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize("takes_fixed_text", ["true", "false"])
async def test_agents(clients: RedisClients, call: Call, takes_fixed_text: str) -> None:
    """It is not documented whether agents accept fixed text, so both cases must work."""
    tokens = Tokens({TokenScope.AI: "https://ai.azure.com/.default"})
    settings = {"SPEED": "0", "REPLY_DELAY_S": "0.02", "PRE_GENERATED_IN_AGENT_MODE": takes_fixed_text}
    async with (
        simulator("voice-live", **settings) as voice_live,
        relay_process(clients, agent_target(voice_live.url), tokens=tokens),
    ):
        assert await spoken(voice_live, call) == SENTENCES
        refused = "request_refused" in await call.notices()
        assert refused is (takes_fixed_text == "false")
    await tokens.aclose()
