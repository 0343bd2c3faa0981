"""Several resources: their order, pauses after rejections, and the resource of a conversation."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Sequence

import pytest

from agent_relay.core.protocol.voice_target import VoiceTarget
from agent_relay.voice.connection_quota import ConnectionQuota, Urgency
from agent_relay.voice.voice_resources import BUSY_S, FORBIDDEN_S, NoConnectionError, VoiceResources
from bridge_common.base.errors import OutsideError
from bridge_common.redis.clients import RedisClients
from tests.integration.support.relay_call import agent_target, minted_tokens, model_target, resources
from tests.integration.support.scripted_voice_live import Script, ScriptedVoiceLive, scripted

RUNNING = Urgency.RUNNING


def _voice(clients: RedisClients, targets: Sequence[VoiceTarget], per_minute: int = 30) -> VoiceResources:
    return resources(*targets, tokens=minted_tokens(), quota=ConnectionQuota(clients.control, per_minute))


def _targets(*services: ScriptedVoiceLive) -> list[VoiceTarget]:
    return [agent_target(service.url) for service in services]


async def _dial(voice: VoiceResources, conversation_id: str = "", begun_on: str = "") -> str:
    opened = await voice.dial("req", RUNNING, conversation_id=conversation_id, begun_on=begun_on)
    await opened.socket.close()
    return opened.resource


async def test_the_first_is_used_until_it_has_no_connection_left(clients: RedisClients) -> None:
    async with scripted(Script()) as first, scripted(Script()) as second:
        voice = _voice(clients, _targets(first, second), per_minute=1)
        names = [dialer.resource for dialer in voice.dialers]
        assert [await _dial(voice), await _dial(voice)] == names
        with pytest.raises(NoConnectionError) as caught:
            await _dial(voice)
        assert 50 < caught.value.wait_s <= 61


async def test_a_busy_resource_is_paused_for_the_fleet_until_its_retry_after(clients: RedisClients) -> None:
    async with scripted(Script(refuses=429, retry_after_s=7)) as first, scripted(Script(), Script()) as second:
        targets = _targets(first, second)
        one, other = _voice(clients, targets), _voice(clients, targets)
        assert await _dial(one) == one.dialers[1].resource
        assert await _dial(other) == one.dialers[1].resource, "another relay does not try"
        alone = _voice(clients, targets[:1])
        with pytest.raises(NoConnectionError) as caught:
            await _dial(alone)
        assert 5 < caught.value.wait_s <= 7


async def test_without_retry_after_the_pause_is_short(clients: RedisClients) -> None:
    async with scripted(Script(refuses=429)) as service:
        voice = _voice(clients, _targets(service))
        with pytest.raises(NoConnectionError, match="429") as caught:
            await _dial(voice)
        assert caught.value.wait_s == BUSY_S


async def test_a_forbidden_connection_uses_the_next_resource_and_logs_the_role(
    clients: RedisClients, caplog: pytest.LogCaptureFixture
) -> None:
    async with scripted(Script(refuses=403)) as first, scripted(Script(), Script()) as second:
        voice = _voice(clients, _targets(first, second))
        with caplog.at_level(logging.ERROR):
            assert [await _dial(voice), await _dial(voice)] == [voice.dialers[1].resource] * 2
        [record] = caplog.records
        assert record.getMessage() == "access to Voice Live resource denied; paused"
        remedy = vars(record)["bridge_fields"]["remedy"]
        assert "Cognitive Services User" in remedy
        assert "Foundry User" in remedy


async def test_refused_credentials_pause_the_resource_after_one_retry(clients: RedisClients) -> None:
    async with scripted(Script(refuses=401), Script(refuses=401)) as service:
        voice = _voice(clients, _targets(service))
        with pytest.raises(NoConnectionError, match="401") as caught:
            await _dial(voice)
        assert caught.value.wait_s == FORBIDDEN_S
        with pytest.raises(NoConnectionError):
            await _dial(voice)


async def test_denied_credentials_leave_profiles_with_others(clients: RedisClients) -> None:
    async with scripted(Script(refuses=401), Script()) as service:
        target = model_target(service.url)
        denied = _voice(clients, [dataclasses.replace(target, api_key="expired")])
        with pytest.raises(NoConnectionError, match="401"):
            await _dial(denied)
        valid = _voice(clients, [dataclasses.replace(target, api_key="valid")])
        assert await _dial(valid) == valid.dialers[0].resource
        with pytest.raises(NoConnectionError, match="used up"):
            await _dial(denied)


async def test_an_unreachable_resource_costs_no_token_for_long(clients: RedisClients) -> None:
    away = dataclasses.replace(model_target("ws://127.0.0.1:1"))
    async with scripted(Script()) as service:
        voice = _voice(clients, [away, model_target(service.url)], per_minute=2)
        assert await _dial(voice) == voice.dialers[1].resource
        assert await clients.control.pttl("quota:127.0.0.1:1") > 0
        still_out = await clients.control.zcount("quota:127.0.0.1:1", time.time() * 1000 + 2000, "+inf")
        assert not still_out
    alone = _voice(clients, [away], per_minute=2)
    with pytest.raises(OutsideError, match="Voice Live is unreachable") as caught:
        await _dial(alone)
    assert not isinstance(caught.value, NoConnectionError), "the backoff of the call applies"


async def test_a_conversation_is_resumed_only_on_its_resource(clients: RedisClients) -> None:
    async with scripted(Script(), Script()) as first, scripted(Script(), Script(refuses=503)) as second:
        voice = _voice(clients, _targets(first, second))
        names = [dialer.resource for dialer in voice.dialers]
        assert await _dial(voice, "conv_1", names[1]) == names[1], "tried first"
        assert "conversation-id=conv_1" in second.sessions[0].path
        assert await _dial(voice, "conv_1", names[1]) == names[0]
        assert "conversation-id" not in first.sessions[0].path, "unknown there"
        assert await _dial(voice, "conv_2") == names[0]
        assert "conversation-id=conv_2" in first.sessions[1].path
