"""Foundry voice agents, played by the simulated service in every form in which they may behave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import Act, GoodbyeOver, ItemEnd, VoiceLost, VoiceReady
from tests.integration.agent_relay.test_wire_forms import FAST, errors, heard, listen, say, session, texts
from tests.integration.support.relay_call import Call, calls, minted_tokens, relay_process
from tests.support.eventually import eventually
from tests.support.simulators import Simulator, control_of, simulator_process

GREETING = "Welcome to Contoso."
TOOLS = [
    {"type": "function", "name": name, "description": name, "parameters": {"type": "object", "properties": {}}}
    for name in ("end_call", "lookup")
]
REPLIES = [
    {"heard": "Where is my order?", "call": {"name": "lookup", "arguments": {"id": 7}}, "say": "It is on its way."},
    {"heard": "Thank you.", "say": "You are welcome."},
]
PROFILE = AgentProfile(actions=("end_call",))
FORMS = [
    {"updated": updated, "overrides": overrides}
    for updated in ("unasked", "asked", "never")
    for overrides in ("applied", "ignored", "refused")
]


@pytest.fixture
async def call(clients: RedisClients) -> AsyncIterator[Call]:
    async with calls(clients) as ten:
        yield ten[0]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with simulator_process("voice-live", **FAST, ALLOW_ANY_BEARER="1") as one:
        yield one


@pytest.fixture
async def voice_live(port: int) -> AsyncIterator[Simulator]:
    async with control_of(port) as one:
        yield one


async def look_up(_arguments: str) -> str:
    return "found"


def target(voice_live: Simulator, **changes: Any) -> VoiceTarget:
    agent = VoiceTarget(
        mode=Mode.VOICE_AGENT,
        endpoint=voice_live.url,
        api_version="v1",
        agent_name="front-desk",
        agent_project_name="phone",
    )
    return replace(agent, **changes)


@asynccontextmanager
async def relaying(
    clients: RedisClients,
    voice_live: Simulator,
    definition: Mapping[str, object],
    *,
    profile: AgentProfile = PROFILE,
    faults: Mapping[str, object] | None = None,
    **changes: Any,
) -> AsyncIterator[None]:
    script = {"greeting": "Requested greeting.", "replies": REPLIES, "definition": {"tools": TOOLS, **definition}}
    await voice_live.put("/lab/agents/front-desk", script)
    await voice_live.put("/lab/faults", faults or {})
    agent = target(voice_live, **changes)
    tools = {"lookup": look_up}
    async with relay_process(clients, agent, profile=profile, tokens=minted_tokens(), tools=tools):
        yield


async def answer(call: Call) -> None:
    """Begin the call; its media socket attaches after the session is ready, as with a real phone."""
    await call.begin()
    await call.told(VoiceReady)
    await call.attach()
    call.speak()


async def sessions(voice_live: Simulator) -> int:
    found = (await voice_live.get("/lab/sessions"))["sessions"]
    assert isinstance(found, list)
    return len(found)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(form.values()))
async def test_a_call_in_every_form_of_the_session(
    clients: RedisClients, call: Call, voice_live: Simulator, form: dict[str, str]
) -> None:
    number = await sessions(voice_live)
    async with relaying(clients, voice_live, {"greeting": GREETING, **form}, faults={"odd_events": {}}):
        await answer(call)
        await listen(call, 1)
        await say(call)
        await listen(call, 2)
        assert await texts(call, 3) == [
            ("agent", GREETING),
            ("caller", "Where is my order?"),
            ("agent", "It is on its way."),
        ]
        found = await session(voice_live, number)
        assert (found["mode"], found["agent"], found["project"]) == ("voice_agent", "front-desk", "phone")
        refused = ["session_update_not_supported"] if form["overrides"] == "refused" else []
        assert errors(found) == refused
        assert ("setting_refused" in await call.notices()) == bool(refused)
        assert len(found["said"]) == 2, "the greeting was spoken once"
        await call.end()


async def test_the_greeting_of_the_definition_is_heard_from_its_beginning(
    clients: RedisClients, call: Call, voice_live: Simulator
) -> None:
    """The greeting is complete before the phone is answered."""
    number = await sessions(voice_live)
    async with relaying(clients, voice_live, {"greeting": GREETING}):
        await call.begin()
        await call.told(VoiceReady)

        async def greeted() -> bool:
            return bool((await session(voice_live, number))["said"])

        await eventually(greeted)
        await call.attach()
        call.speak()
        item_id = await listen(call, 1)
        end = call.of(ItemEnd)[0]
        assert isinstance(end, ItemEnd)
        id_ = (await session(voice_live, number))["id"]
        sent = (await voice_live.http.get(f"/lab/sessions/{id_}/speech/{item_id}")).content
        assert heard(call, end) == sent
        await call.end()


async def test_a_greeting_that_does_not_begin_is_requested(
    clients: RedisClients, call: Call, voice_live: Simulator
) -> None:
    """By default a definition is expected to have a greeting; this one has none."""
    async with relaying(clients, voice_live, {}):
        await answer(call)
        await listen(call, 1)
        assert await texts(call, 1) == [("agent", "Requested greeting.")]
        assert await call.noticed("greeting", "speech_overdue")
        await call.end()


@pytest.mark.parametrize("greeting", [Greeting(text="Good morning."), None], ids=["greeting", "caller speaks first"])
async def test_a_definition_that_greets_against_the_profile(
    clients: RedisClients, call: Call, voice_live: Simulator, greeting: Greeting | None
) -> None:
    """The caller is greeted once, or not at all if the caller is to speak first."""
    profile = AgentProfile(actions=("end_call",), greeting=greeting)
    number = await sessions(voice_live)
    async with relaying(clients, voice_live, {"greeting": GREETING}, profile=profile, greets=False):
        await answer(call)
        if greeting is not None:
            await listen(call, 1)
        await say(call)
        await listen(call, 2 if greeting else 1)
        greeted = [("agent", GREETING)] if greeting else []
        turns = [*greeted, ("caller", "Where is my order?"), ("agent", "It is on its way.")]
        assert await texts(call, len(turns)) == turns
        found = await session(voice_live, number)
        assert [item["text"] for item in found["items"] if item.get("role") == "assistant"] == [
            text for role, text in turns if role == "agent"
        ]
        await call.end()


async def test_a_restored_session_does_not_greet_again(
    clients: RedisClients, call: Call, voice_live: Simulator
) -> None:
    number = await sessions(voice_live)
    async with relaying(clients, voice_live, {"greeting": GREETING}):
        await answer(call)
        await listen(call, 1)
        await say(call)
        await listen(call, 2)
        await voice_live.post(f"/lab/sessions/{(await session(voice_live, number))['id']}/drop")
        await eventually(lambda: call.noticed("voice_resumed"))
        second = await session(voice_live, number + 1)
        await eventually(lambda: canceled(voice_live, second["id"]), what="the greeting of the new session is canceled")
        await say(call)
        await listen(call, 3)
        turns = await texts(call, 5)
        assert turns == [
            ("agent", GREETING),
            ("caller", "Where is my order?"),
            ("agent", "It is on its way."),
            ("caller", "Thank you."),
            ("agent", "You are welcome."),
        ]
        await call.end()


async def canceled(voice_live: Simulator, session_id: str) -> bool:
    timeline = (await voice_live.get(f"/lab/sessions/{session_id}"))["timeline"]
    assert isinstance(timeline, list)
    return "cancelled" in [mark["status"] for mark in timeline if mark["event"] == "response_done"]


async def test_an_answer_that_is_due_after_a_lost_session_follows_the_canceled_greeting(
    clients: RedisClients, call: Call, voice_live: Simulator
) -> None:
    number = await sessions(voice_live)
    async with relaying(clients, voice_live, {"greeting": GREETING}):
        await answer(call)
        await listen(call, 1)
        await voice_live.put("/lab/faults", {"response_slow": {"delay_s": 30, "times": 1}})
        await say(call)
        first = (await session(voice_live, number))["id"]
        await eventually(lambda: responses(voice_live, first, 2))
        await voice_live.post(f"/lab/sessions/{first}/drop")
        await listen(call, 2)
        assert await texts(call, 3) == [
            ("agent", GREETING),
            ("caller", "Where is my order?"),
            ("agent", "It is on its way."),
        ]
        await call.end()


async def responses(voice_live: Simulator, session_id: str, count: int) -> bool:
    timeline = (await voice_live.get(f"/lab/sessions/{session_id}"))["timeline"]
    assert isinstance(timeline, list)
    return len([mark for mark in timeline if mark["event"] == "response_created"]) >= count


async def test_a_disabled_agent_is_not_tried_again(clients: RedisClients, call: Call, voice_live: Simulator) -> None:
    async with relaying(clients, voice_live, {"disabled": True}):
        before = len(await refused(voice_live))
        await call.begin()
        lost = await call.told(VoiceLost)
        assert isinstance(lost, VoiceLost)
        assert "the voice agent is disabled; enable it in Foundry" in lost.reason
        new = (await refused(voice_live))[before:]
        assert [one["status"] for one in new] == [409]


async def refused(voice_live: Simulator) -> list[dict[str, object]]:
    found = (await voice_live.get("/lab/handshakes"))["refused"]
    assert isinstance(found, list)
    return found


async def test_another_audio_format_is_reported(clients: RedisClients, call: Call, voice_live: Simulator) -> None:
    """Its audio would be noise for the caller, so that the call is not answered."""
    async with relaying(clients, voice_live, {"audio_format": "g711_ulaw"}):
        await call.begin()
        lost = await call.told(VoiceLost)
        assert isinstance(lost, VoiceLost)
        assert "audio/pcmu; set audio/pcm with 24000 Hz" in lost.reason


async def test_a_close_with_1000_ends_the_call_after_the_words_of_the_agent(
    clients: RedisClients, call: Call, voice_live: Simulator
) -> None:
    number = await sessions(voice_live)
    definition = {"greeting": GREETING, "tools": [*TOOLS, {"type": "system", "name": "end_conversation"}]}
    async with relaying(clients, voice_live, definition):
        goodbye = {"say_first": "Goodbye and thank you.", "call": {"name": "end_conversation", "arguments": {}}}
        script = {"definition": definition, "replies": [{"heard": "Bye.", **goodbye}]}
        await voice_live.put("/lab/agents/front-desk", script)
        await answer(call)
        await listen(call, 1)
        await say(call)
        act = await call.told(Act)
        assert isinstance(act, Act)
        assert (act.action, act.by, act.arguments) == ("hang_up", "agent", '{"reason":"closed_by_agent"}')
        await eventually(lambda: len(call.of(ItemEnd)) == 2)
        assert not any(isinstance(entry, GoodbyeOver) for entry in await call.news()), "the caller is still listening"
        await listen(call, 2)
        over = await call.told(GoodbyeOver)
        assert isinstance(over, GoodbyeOver)
        assert (over.action_id, over.outcome) == (act.action_id, "heard")
        assert await sessions(voice_live) == number + 1, "no other session was opened"
        assert not any(isinstance(entry, VoiceLost) for entry in await call.news())
        await call.end()


@pytest.mark.parametrize("code", [1001, 1011])
async def test_other_closes_do_not_end_the_call(
    clients: RedisClients, call: Call, voice_live: Simulator, code: int
) -> None:
    number = await sessions(voice_live)
    async with relaying(clients, voice_live, {"greeting": GREETING}):
        await answer(call)
        await listen(call, 1)
        first = (await session(voice_live, number))["id"]
        await voice_live.post(f"/lab/sessions/{first}/close", {"code": code, "reason": ""})
        await eventually(lambda: call.noticed("voice_resumed"))
        await say(call)
        await listen(call, 2)
        second = await session(voice_live, number + 1)
        assert second["items"][0]["text"] == GREETING, "the history is replayed"
        assert not any(isinstance(entry, Act) for entry in await call.news())
        await call.end()


async def test_a_session_closed_with_1000_while_the_phone_rings_is_replaced(
    clients: RedisClients, call: Call, voice_live: Simulator
) -> None:
    number = await sessions(voice_live)
    async with relaying(clients, voice_live, {"greeting": GREETING}):
        await call.begin()
        await call.told(VoiceReady)
        first = (await session(voice_live, number))["id"]
        await voice_live.post(f"/lab/sessions/{first}/close", {"code": 1000, "reason": ""})
        await session(voice_live, number + 1)
        await call.attach()
        call.speak()
        await listen(call, 1)
        assert await texts(call, 1) == [("agent", GREETING)]
        await call.end()


@pytest.mark.parametrize(
    ("sends", "overrides", "missing"),
    [(False, "applied", [["add_note"]]), (True, "applied", []), (True, "ignored", [["add_note"]])],
)
async def test_tools_of_the_profile_that_the_agent_lacks(
    clients: RedisClients,
    ten: list[Call],
    voice_live: Simulator,
    caplog: pytest.LogCaptureFixture,
    sends: bool,
    overrides: str,
    missing: list[list[str]],
) -> None:
    """They are reported once for all calls. With `send_tools` they are sent, which the service may ignore."""
    profile = AgentProfile(actions=("end_call", "add_note"))
    definition = {"tools": TOOLS[:1], "overrides": overrides}
    async with relaying(clients, voice_live, definition, profile=profile, sends_tools=sends):
        for one in ten[:2]:
            await one.begin()
            await one.told(VoiceReady)
    lines = [record for record in caplog.records if "lacks function tools" in record.getMessage()]
    assert len(lines) == len(missing)
    assert all(f"'missing': {names}" in str(vars(line)) for line, names in zip(lines, missing, strict=True))
