"""A running call keeps its profile version on a relay that has never read it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

import pytest

from agent_relay.agents import AgentFactory, Agents
from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.voice_target import TokenScope
from agent_relay.profile_versions import ProfileVersions
from agent_relay.profiles import DEFAULT
from bridge_common.auth.entra_tokens import Tokens
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.call_record import CallRecord, Status
from tests.integration.support.relay_call import Call, NoLimits, model_target, relay_process
from tests.integration.support.scripted_voice_live import opened, scripted
from tests.support.eventually import eventually

OLD = AgentProfile(greeting=None, language="de-DE")
NEW = AgentProfile(greeting=None, language="en-GB")


def _agents(profile: AgentProfile, url: str = "ws://127.0.0.1:1") -> Agents:
    factory = AgentFactory(
        targets=(model_target(url),), tokens=Tokens({}), scopes={TokenScope.AI: "ai"}, quota=NoLimits(), secrets={}
    )
    return Agents(factory, {DEFAULT: AgentProfile(greeting=None), "sales": profile})


def _call(version: str = "") -> CallRecord:
    return CallRecord(call_id="call_1", status=Status.CONNECTED, profile="sales", profile_version=version)


async def test_a_relay_with_another_file_continues_with_the_version_of_the_call(
    clients: RedisClients, ten: list[Call]
) -> None:
    call = ten[0]
    async with scripted(opened(), opened()) as service:
        target = model_target(service.url)
        async with relay_process(clients, target, name="old", profiles={"sales": OLD}) as old:
            await call.begin(profile="sales")
            await eventually(call.announced)
            async with relay_process(clients, target, name="new", profiles={"sales": NEW}):
                await old.kill()
                await eventually(lambda: len(service.sessions) == 2, within_s=10)
                await eventually(lambda: any(event["type"] == "session.update" for event in service.sessions[1].sent))
                languages = [
                    event["session"]["input_audio_transcription"]["language"]
                    for session in service.sessions
                    for event in session.sent
                    if event["type"] == "session.update"
                ]
                assert languages == ["de-DE", "de-DE"]
                record = await call.store.load(call.call_id)
                assert record is not None
                assert record.profile_version == OLD.version
                await call.end()


async def test_a_version_is_stored_once_and_found_by_another_relay(clients: RedisClients) -> None:
    versions = ProfileVersions(clients.control, _agents(OLD))
    assert (await versions.agent_of(_call())).profile == OLD
    await clients.control.delete(f"profile:{OLD.version}")
    assert (await versions.agent_of(_call())).profile == OLD
    assert not await clients.control.exists(f"profile:{OLD.version}"), "stored by this process before"
    await ProfileVersions(clients.control, _agents(OLD)).agent_of(_call())
    other = ProfileVersions(clients.control, _agents(NEW))
    found = await other.agent_of(_call(OLD.version))
    assert found.profile == OLD
    assert found is await other.agent_of(_call(OLD.version)), "kept"
    assert (await other.agent_of(_call(NEW.version))).profile == NEW


@pytest.mark.parametrize(
    ("stored", "mistake", "reason"),
    [
        (None, "", "not found in Redis"),
        ('{"voise": 1}', "", "voise"),
        (OLD.model_dump_json(exclude_defaults=True), "sales: TOKEN is not set", "TOKEN is not set"),
    ],
)
async def test_without_a_usable_version_the_newest_is_used(
    clients: RedisClients, caplog: pytest.LogCaptureFixture, stored: str | None, mistake: str, reason: str
) -> None:
    def check(_: Mapping[str, AgentProfile]) -> Iterator[str]:
        yield from [mistake] if mistake else []

    if stored is not None:
        await clients.control.set(f"profile:{OLD.version}", stored)
    versions = ProfileVersions(clients.control, _agents(NEW), check)
    with caplog.at_level(logging.WARNING):
        assert (await versions.agent_of(_call(OLD.version))).profile == NEW
    [line] = caplog.records
    assert line.message == "profile version unusable; using the newest"
    assert reason in vars(line)["bridge_fields"]["reason"]


async def test_a_failing_lookup_does_not_stop_the_call(clients: RedisClients, caplog: pytest.LogCaptureFixture) -> None:
    versions = ProfileVersions(clients.control, _agents(NEW))
    await clients.control.hset(f"profile:{OLD.version}", "field", "a value that GET rejects")
    with caplog.at_level(logging.WARNING):
        assert (await versions.agent_of(_call(OLD.version))).profile == NEW
    assert [line.message for line in caplog.records] == ["profile versions unavailable; using the newest"]
