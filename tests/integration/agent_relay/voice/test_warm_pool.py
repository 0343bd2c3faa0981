"""Warm sessions: taken by calls, replaced when lost or too old, and failures that do not affect calls."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator

import pytest

from agent_relay.core.dialog.session_profile import session_profile_of
from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.session_setup import SessionSetup
from agent_relay.core.protocol.voice_target import Mode, TokenScope, VoiceTarget
from agent_relay.voice.connection_quota import ConnectionQuota, Urgency
from agent_relay.voice.warm_pool import BACKOFF, WarmPool, WarmPoolConfig, WarmSession
from bridge_common.auth.entra_tokens import Tokens
from bridge_common.base.retry import Backoff
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import ItemEnd, VoiceReady
from lab.voice_live.settings import DEFAULT_API_KEY
from tests.integration.support.relay_call import (
    Call,
    agent_target,
    calls,
    minted_tokens,
    model_target,
    relay_process,
    resources,
)
from tests.integration.support.scripted_voice_live import (
    Event,
    Script,
    Step,
    created,
    opened,
    reply,
    scripted,
    updated,
)
from tests.support.eventually import eventually
from tests.support.simulators import Simulator, simulator

QUICK = Backoff(first_s=0.01, most_s=0.05)


@pytest.fixture
async def call(clients: RedisClients) -> AsyncIterator[Call]:
    async with calls(clients) as ten:
        yield ten[0]


def _config(
    target: VoiceTarget, count: int = 1, *, most_age_s: float = 60.0, backoff: Backoff = BACKOFF
) -> WarmPoolConfig:
    profile = AgentProfile(greeting=None)
    return WarmPoolConfig(
        resources(target, tokens=minted_tokens()), session_profile_of(profile, target), count, most_age_s, backoff
    )


@contextlib.asynccontextmanager
async def _warming(config: WarmPoolConfig) -> AsyncIterator[WarmPool]:
    warm = WarmPool(config)
    running = asyncio.create_task(warm.run())
    try:
        yield warm
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _any(_: SessionSetup) -> bool:
    return True


async def _taken(warm: WarmPool) -> WarmSession:
    taken: list[WarmSession] = []

    def take() -> bool:
        session = warm.take(_any)
        if session is not None:
            taken.append(session)
        return bool(taken)

    await eventually(take, what="a warm session")
    return taken[0]


async def test_sessions_are_configured_and_replaced_when_taken() -> None:
    async with (
        scripted(opened(), opened(), opened(session_id="sess_3", conversation_id="conv_3"), then_full=True) as service,
        _warming(_config(agent_target(service.url), 2)) as warm,
    ):
        assert warm.take(_any) is None
        await eventually(lambda: len(warm) == 2)
        assert all(session.types() == ["session.update"] for session in service.sessions)
        assert all("conversation-id" not in session.path for session in service.sessions)
        first = warm.take(_any)
        assert first is not None
        assert len(warm) == 1
        await eventually(lambda: len(warm) == 2)
        assert first.socket.lost is None
        await first.socket.close()
        await (await _taken(warm)).socket.close()
        third = await _taken(warm)
        assert (third.configured.session_id, third.configured.conversation_id) == ("sess_3", "conv_3")
        await third.socket.close()


async def test_a_session_with_other_settings_stays_in_the_pool() -> None:
    async with scripted(opened()) as service, _warming(_config(model_target(service.url))) as warm:
        await eventually(lambda: len(warm) == 1)
        assert warm.take(lambda setup: setup.is_for({"modalities": ["text"]})) is None
        assert len(warm) == 1


async def test_old_sessions_are_replaced() -> None:
    async with (
        scripted(opened(), opened(session_id="sess_2"), then_full=True) as service,
        _warming(dataclasses.replace(_config(model_target(service.url)), most_age_s=0.2)) as warm,
    ):
        await eventually(lambda: len(warm) == 1)
        connection = service.sessions[0].connection
        assert connection is not None
        await asyncio.wait_for(connection.wait_closed(), 10)
        assert connection.close_code == 1000
        assert (await _taken(warm)).configured.session_id == "sess_2"


async def test_a_lost_session_is_replaced_after_a_delay() -> None:
    async with (
        scripted(opened(), opened(session_id="sess_2"), then_full=True) as service,
        _warming(_config(model_target(service.url), backoff=QUICK)) as warm,
    ):
        await eventually(lambda: len(warm) == 1)
        service.sessions[0].drop()
        await eventually(lambda: len(service.sessions) == 2 and service.sessions[1].used)
        session = await _taken(warm)
        assert session.configured.session_id == "sess_2"
        await session.socket.close()


async def test_refused_sessions_are_retried() -> None:
    no_agent: Event = {"type": "error", "error": {"code": "agent_gone", "message": "no agent"}}
    broken = Script(greets=[created()], steps=[Step("session.update", [no_agent])])
    async with (
        scripted(Script(refuses=503), Script(refuses=429), broken, opened()) as service,
        _warming(_config(model_target(service.url), backoff=QUICK)) as warm,
    ):
        await eventually(lambda: len(service.sessions) == 3 and service.sessions[2].used)
        await service.sessions[2].close(1000)
        await eventually(lambda: len(warm) == 1)


async def test_a_rate_limit_on_an_open_socket_pauses_the_resource(clients: RedisClients) -> None:
    limited: Event = {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "Please retry after 60s."}}
    script = Script(greets=[created()], steps=[Step("session.update", [limited])])
    async with scripted(script) as service:
        config = _config(model_target(service.url), backoff=QUICK)
        quota = ConnectionQuota(clients.control, 30)
        voice = dataclasses.replace(config.voice, quota=quota)
        async with _warming(dataclasses.replace(config, voice=voice)):
            await eventually(lambda: service.sessions and service.sessions[0].used)
            await service.sessions[0].close(1000)
            resource = voice.dialers[0].resource

            async def paused() -> bool:
                return (await quota.take(resource, Urgency.RUNNING)).wait_s > 50

            await eventually(paused)
            assert len(service.sessions) == 1, "no further attempt"


async def test_refused_settings_are_left_out() -> None:
    refusal: Event = {"type": "error", "error": {"code": "invalid_voice", "message": "no", "param": "session.voice"}}
    steps = [
        Step("session.update", [refusal], where=lambda e: "voice" in e["session"]),
        Step("session.update", [updated()], where=lambda e: "voice" not in e["session"]),
    ]
    script = Script(greets=[created()], steps=steps)
    async with scripted(script, then_full=True) as service, _warming(_config(model_target(service.url))) as warm:
        await eventually(lambda: len(warm) == 1)
        session = warm.take(_any)
        assert session is not None
        assert session.refusals == ["voice: invalid_voice"]
        await session.socket.close()


async def test_a_new_call_uses_a_warm_session(clients: RedisClients, call: Call) -> None:
    """There is no handshake between the claim and `VoiceReady`: the service would reject it."""
    second = bytes(48_000)
    greeting = reply("resp_1", "item_1", "Welcome!", second)
    script = opened(Step("response.create", greeting), session_id="sess_warm")
    profile = AgentProfile(greeting=Greeting(text="Welcome!"))
    async with scripted(script, then_full=True) as service:
        target = model_target(service.url)
        config = dataclasses.replace(
            _config(target, backoff=Backoff(30.0, most_s=30.0)), profile=session_profile_of(profile, target)
        )
        async with (
            _warming(config) as warm,
            relay_process(clients, target, profile=profile, warm=warm),
        ):
            await eventually(lambda: len(warm) == 1)
            began = time.monotonic()
            await call.begin()
            await call.told(VoiceReady)
            assert time.monotonic() - began < 4.0
            record = await call.store.load(call.call_id)
            assert record is not None
            assert record.voice_session_id == "sess_warm"
            assert service.sessions[0].types() == ["session.update"], "no greeting into a ringing phone"
            await call.attach()
            call.speak(2)
            await eventually(lambda: call.of(ItemEnd))
            await eventually(lambda: len(service.sessions[0].audio) == 2 * 960)
            # When the call loses this session, it opens a new one.
            service.sessions[0].drop()
            await eventually(lambda: service.turned_away >= 3)
            await call.end()


async def test_a_call_that_resumes_by_its_id_opens_a_session_with_the_id(clients: RedisClients, call: Call) -> None:
    async with scripted(opened(), opened(session_id="sess_2", conversation_id="conv_7")) as service:
        target = agent_target(service.url)
        async with (
            _warming(_config(target)) as warm,
            relay_process(clients, target, warm=warm, tokens=minted_tokens()),
        ):
            await eventually(lambda: len(warm) == 1)
            await call.begin(conversation_id="conv_7", greeted=True)
            await call.told(VoiceReady)
            assert len(warm) == 1
            assert "conversation-id=conv_7" in service.sessions[1].path
            await call.end()
            await eventually(lambda: service.sessions[1].connection and service.sessions[1].connection.close_code)


async def test_a_pool_without_configuration_is_empty() -> None:
    warm = WarmPool()
    await warm.run()
    assert warm.take(_any) is None


@pytest.mark.parametrize("agent", [False, True])
async def test_calls_use_warm_sessions_of_the_simulated_service(
    clients: RedisClients, voice_live: Simulator, identity: Simulator, agent: bool
) -> None:
    """Two calls at once, two sessions, and in agent mode a conversation of its own for each."""
    await voice_live.put("/lab/agent", {"mode": "script", "greeting": "Welcome to Contoso.", "replies": []})
    target = (
        agent_target(voice_live.url)
        if agent
        else dataclasses.replace(model_target(voice_live.url), api_key=DEFAULT_API_KEY)
    )
    tokens = Tokens({TokenScope.AI: "https://ai.azure.com/.default"} if agent else {})
    profile = AgentProfile(greeting=Greeting(say_how="Greet the caller."))
    config = WarmPoolConfig(resources(target, tokens=tokens), session_profile_of(profile, target), 2, backoff=QUICK)
    async with (
        _warming(config) as warm,
        calls(clients) as (one, two, *_),
        relay_process(clients, target, profile=profile, tokens=tokens, warm=warm),
    ):
        await eventually(lambda: len(warm) == 2, within_s=10)
        sessions = (await voice_live.get("/lab/sessions"))["sessions"]
        assert isinstance(sessions, list)
        waiting = {session["id"] for session in sessions}
        for call in (one, two):
            await call.begin()
            await call.told(VoiceReady)
            await call.attach()
            call.speak()
        for call in (one, two):
            await eventually(lambda: call.of(ItemEnd), within_s=10)  # noqa: B023  # awaited within the iteration
        records = [await call.store.load(call.call_id) for call in (one, two)]
        assert {record.voice_session_id for record in records if record} == waiting
        conversations = {record.conversation_id for record in records if record}
        assert len(conversations) == (2 if agent else 1)
        assert ("" in conversations) is not agent
        await eventually(lambda: len(warm) == 2, within_s=10)
        for call in (one, two):
            await call.end()
    await tokens.aclose()


@pytest.mark.parametrize("updated", ["unasked", "asked", "never"])
async def test_a_greeting_of_a_voice_agent_is_canceled_in_a_warm_session(updated: str) -> None:
    """According to the profile the definition has no greeting, but it has one."""
    async with simulator("voice-live", SESSION_SETUP_S="0.01", ALLOW_ANY_BEARER="1") as voice_live:
        await voice_live.put("/lab/agent", {"definition": {"greeting": "Welcome to Contoso.", "updated": updated}})
        target = VoiceTarget(
            mode=Mode.VOICE_AGENT,
            endpoint=voice_live.url,
            api_version="v1",
            agent_name="a",
            agent_project_name="p",
            greets=False,
        )
        async with _warming(_config(target)) as warm:
            session = await _taken(warm)
            assert session.configured.conversation_id.startswith("conv_")

            async def canceled() -> bool:
                found = await voice_live.get(f"/lab/sessions/{session.configured.session_id}")
                return "'status': 'cancelled'" in str(found["timeline"])

            await eventually(canceled)
            await session.socket.close()


async def test_a_warm_session_of_a_voice_agent_without_session_updated() -> None:
    async with simulator("voice-live", SESSION_SETUP_S="0.01", ALLOW_ANY_BEARER="1") as voice_live:
        await voice_live.put("/lab/agent", {"definition": {"updated": "never"}})
        target = VoiceTarget(
            mode=Mode.VOICE_AGENT, endpoint=voice_live.url, api_version="v1", agent_name="a", agent_project_name="p"
        )
        async with _warming(_config(target)) as warm:
            session = await _taken(warm)
            assert session.configured.session_id.startswith("sess_")
            await session.socket.close()
