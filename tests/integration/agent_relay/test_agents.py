"""Agents of different modes on one relay, and profiles that change while calls run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from agent_relay.agents import AgentFactory
from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.target_profile import TargetProfile
from agent_relay.core.protocol.voice_target import TokenScope
from agent_relay.profile_reloader import ProfileReloader
from agent_relay.profiles import DEFAULT, load_profiles
from bridge_common.auth.entra_tokens import Tokens
from bridge_common.observability.telemetry import REGISTRY
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import VoiceReady
from tests.integration.support.relay_call import Call, NoLimits, TokenMint, calls, model_target, relay_process
from tests.integration.support.scripted_voice_live import Event, Script, ScriptedVoiceLive, opened, scripted
from tests.support.eventually import eventually

SCOPES = {TokenScope.AI: "ai-scope", TokenScope.COGNITIVE_SERVICES: "cognitive-scope"}


def _factory(url: str, tokens: Tokens, warm_sessions: int = 0) -> AgentFactory:
    return AgentFactory(
        targets=(model_target(url),),
        tokens=tokens,
        scopes=SCOPES,
        quota=NoLimits(),
        secrets={"OTHER_KEY": "other"},
        warm_sessions=warm_sessions,
    )


async def _versions(calls: list[Call]) -> list[str]:
    records = [await call.store.load(call.call_id) for call in calls]
    return [record.profile_version if record else "" for record in records]


async def _begin(call: Call, profile: str) -> None:
    await call.begin(profile=profile)
    await eventually(call.announced)


async def test_new_connections_use_the_api_keys_in_force() -> None:
    keys = ["old", "old-further"]
    tokens = Tokens({}, TokenMint)
    async with scripted(*[Script()] * 3) as service, scripted(Script()) as further, scripted(Script()) as own:
        factory = AgentFactory(
            targets=(replace(model_target(service.url), api_key="start"), model_target(further.url)),
            tokens=tokens,
            scopes=SCOPES,
            quota=NoLimits(),
            secrets={"OWN_KEY": "of-the-profile"},
            api_key=keys.__getitem__,
        )
        target = TargetProfile(model="gpt-realtime", endpoint=(own.url,), api_key_secret="OWN_KEY")
        agents = {
            "settings": factory("settings", AgentProfile()),
            "other model": factory("other model", AgentProfile(target=TargetProfile(model="gpt-4.1"))),
            "own": factory("own", AgentProfile(target=target)),
        }
        dialers = {name: agent.voice.dialers for name, agent in agents.items()}
        for dialer, key in ((dialers["settings"][0], "first"), (dialers["settings"][0], "second")):
            keys[0] = key
            await (await dialer.dial("req-1", "")).close()
        keys[:] = ["third", "new-further"]
        for dialer in (dialers["other model"][0], dialers["settings"][1], dialers["own"][0]):
            await (await dialer.dial("req-1", "")).close()
        credentials = {dialer.target.credential for dialer in (*dialers["settings"], *dialers["own"])}
        assert len(credentials) == 3, "a pause after 401 concerns one key"
        given = [one.headers["api-key"] for server in (service, further, own) for one in server.sessions]
        assert given == ["first", "second", "third", "new-further", "of-the-profile"]


async def test_profiles_of_different_modes_on_one_relay(clients: RedisClients, ten: list[Call]) -> None:
    mint = TokenMint()
    tokens = Tokens({}, lambda: mint)
    async with scripted(*[opened()] * 3) as service, scripted(*[opened()] * 2) as other:
        targets = {
            "desk": TargetProfile(agent="front-desk", project="contoso", agent_version="3"),
            "voice": TargetProfile(voice_agent="phone-desk", project="contoso", greets=False),
            "classic": TargetProfile(classic_agent="asst_1", project="contoso", endpoint=(other.url,)),
            "openai": TargetProfile(
                azure_openai_deployment="gpt", endpoint=(other.url,), api_key_secret="OTHER_KEY", api_version="v1"
            ),
        }
        profiles = {name: AgentProfile(greeting=None, target=target) for name, target in targets.items()}
        async with relay_process(
            clients, model_target(""), profiles=profiles, make_agent=_factory(service.url, tokens)
        ):
            names = [DEFAULT, "desk", "voice", "classic", "openai"]
            for call, name in zip(ten, names, strict=False):
                await _begin(call, name)
            model, desk, voice = service.sessions
            classic, openai = other.sessions
            assert "model=gpt-4.1" in model.path
            assert model.headers["api-key"] == "key"
            assert "agent-name=front-desk&agent-project-name=contoso&agent-version=3" in desk.path
            assert desk.headers["Authorization"].startswith("Bearer token-")
            assert voice.path == "/api/projects/contoso/agents/phone-desk/endpoint/protocols/voice?api-version=v1"
            assert voice.headers["Authorization"].startswith("Bearer token-")
            assert voice.headers["Foundry-Features"] == "VoiceAgents=V1Preview"
            assert "agent-id=asst_1&agent-project-name=contoso&agent-access-token=token-" in classic.path
            assert openai.path == "/openai/v1/realtime?model=gpt"
            assert openai.headers["api-key"] == "other"
            assert set(mint.asked) == set(SCOPES.values())
            assert await _versions(ten[:2]) == [AgentProfile(greeting=None).version, profiles["desk"].version]
            for call in ten[:5]:
                await call.end()


async def test_each_profile_has_its_own_warm_sessions(clients: RedisClients, ten: list[Call]) -> None:
    target = TargetProfile(agent="front-desk", project="contoso")
    profiles = {"desk": AgentProfile(greeting=None, target=target, warm_sessions=2)}
    async with scripted(*[opened()] * 4) as service:
        factory = _factory(service.url, Tokens({}, TokenMint), warm_sessions=1)
        async with relay_process(clients, model_target(""), profiles=profiles, make_agent=factory) as relay:
            agents = relay.context.agents
            async with _running(agents.run()):
                await eventually(lambda: (len(agents[DEFAULT].warm), len(agents["desk"].warm)) == (1, 2))
                await _begin(ten[0], "desk")
                await eventually(lambda: len(service.sessions) == 4)
                assert sum("agent-name=front-desk" in session.path for session in service.sessions) == 3
                await ten[0].end()


@contextlib.asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _write(path: Path, profiles: Mapping[str, str]) -> None:
    path.write_text("".join(f"{name}: {{greeting: null, {text}}}\n" for name, text in profiles.items()))


def _reloaded() -> float | None:
    return REGISTRY.get_sample_value("bridge_relay_profiles_last_reload_successful")


def _hash() -> float | None:
    return REGISTRY.get_sample_value("bridge_relay_profiles_hash")


async def test_running_calls_keep_their_version_when_the_file_changes(
    clients: RedisClients, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "agent_relay.profile_reloader")
    path = tmp_path / "profiles.yaml"
    _write(path, {"sales": "language: de-DE", "night": "language: fr-FR"})
    async with scripted(*[opened()] * 43) as service, calls(clients, 23) as every:
        running, (during, sales, night) = every[:20], every[20:]
        factory = _factory(service.url, Tokens({}))
        async with relay_process(
            clients, model_target(""), profiles=load_profiles(path), make_agent=factory, capacity=30
        ) as relay:
            agents = relay.context.agents
            reloader = ProfileReloader(path, lambda _: (), agents)
            await reloader.look()
            before, hash_before = [agents["sales"].version, agents["night"].version] * 10, _hash()
            for call, name in zip(running, ("sales", "night") * 10, strict=True):
                await _begin(call, name)

            path.write_text("sales: {language: 3}\nnight: {voise: x}\n")
            for _ in range(3):
                await reloader.look()
            [line] = [one for one in caplog.records if one.levelno == logging.ERROR]
            reason = line.__dict__["bridge_fields"]["reason"]
            assert "sales.language: must be a string" in reason
            assert "night.voise: is unknown" in reason
            assert (_reloaded(), _hash()) == (0, hash_before)
            await _begin(during, "sales")
            path.unlink()
            await reloader.look()
            assert (_reloaded(), _hash()) == (0, hash_before)

            _write(path, {"sales": "language: en-GB"})
            await reloader.look()
            assert _reloaded() == 1
            assert _hash() != hash_before
            assert caplog.records[-1].__dict__["bridge_fields"]["changed"] == ["night", "sales"]
            await _begin(sales, "sales")
            await _begin(night, "night")
            expected = [*before, before[0], agents["sales"].version, agents[DEFAULT].version]
            assert await _versions(every) == expected
            assert _languages(service) == [*["de-DE", "fr-FR"] * 10, "de-DE", "en-GB", "en-US"]

            for session in service.sessions[:20]:
                session.drop()
            await eventually(lambda: len(_updates(service)) == 43)
            assert sorted(_languages(service)[23:]) == ["de-DE"] * 10 + ["fr-FR"] * 10
            assert await _versions(every) == expected
            # A relay that takes such a call over continues with the same version.
            records = [await call.store.load(call.call_id) for call in every]
            assert [agents.of(record).version for record in records if record] == expected
            for call in every:
                await call.end()


def _updates(service: ScriptedVoiceLive) -> list[Event]:
    """In the order of the connections."""
    return [event for one in service.sessions for event in one.sent if event["type"] == "session.update"]


def _languages(service: ScriptedVoiceLive) -> list[str]:
    return [update["session"]["input_audio_transcription"]["language"] for update in _updates(service)]


async def test_a_reload_replaces_the_warm_sessions_of_changed_profiles(clients: RedisClients, ten: list[Call]) -> None:
    def profiles(language: str) -> dict[str, AgentProfile]:
        return {
            DEFAULT: AgentProfile(greeting=None, warm_sessions=1),
            "desk": AgentProfile(greeting=None, warm_sessions=1, language=language),
        }

    async with scripted(*[opened()] * 3) as service:
        factory = _factory(service.url, Tokens({}))
        async with relay_process(clients, model_target(""), profiles=profiles("de-DE"), make_agent=factory) as relay:
            agents = relay.context.agents
            async with _running(agents.run()):
                await eventually(lambda: (len(agents[DEFAULT].warm), len(agents["desk"].warm)) == (1, 1))
                kept, old = agents[DEFAULT], agents["desk"]
                assert agents.adopt(profiles("en-GB")) == {"desk"}
                await eventually(lambda: (len(old.warm), len(agents["desk"].warm)) == (0, 1))
                assert agents[DEFAULT] is kept
                assert len(service.sessions) == 3, "the session of the unchanged profile stays"


async def test_the_default_profile_serves_unknown_ones(clients: RedisClients, ten: list[Call]) -> None:
    async with scripted(opened()) as service, relay_process(clients, model_target(service.url)) as relay:
        await ten[0].begin(profile="nobody")
        await ten[0].told(VoiceReady)
        await eventually(ten[0].announced)
        assert await _versions(ten[:1]) == [relay.context.agents[DEFAULT].version]
        await ten[0].end()


async def test_a_voice_agent_that_greets_is_not_warmed(clients: RedisClients) -> None:
    """Nobody would hear its greeting."""
    mint = TokenMint()
    async with scripted(opened()) as service:
        factory = _factory(service.url, Tokens({}, lambda: mint), warm_sessions=1)
        for greets, count in ((None, 0), (False, 1)):
            target = TargetProfile(voice_agent="a", project="p", greets=greets)
            agent = factory(DEFAULT, AgentProfile(target=target, greeting=None))
            warming = asyncio.create_task(agent.warm.run())
            if count:
                await eventually(partial(len, agent.warm), what="a warm session")
            else:
                await asyncio.wait_for(warming, 5)  # there is nothing to do
            assert len(agent.warm) == count
            warming.cancel()
            await asyncio.gather(warming, return_exceptions=True)
