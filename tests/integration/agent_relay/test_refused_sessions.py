"""A voice session that is rejected on its open socket: the affected calls, and the remedy in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator

import pytest

from agent_relay.profiles import DEFAULT
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import VoiceLost, VoiceReady
from tests.integration.support.relay_call import Call, calls, relay_process
from tests.integration.support.relay_line import FAST, model
from tests.support.simulators import Simulator, simulator

CONTENT = ["agent_not_found", "agent_initialization_failed", "invalid_value", "model_not_available", "x"]


@pytest.fixture
async def ten(clients: RedisClients) -> AsyncIterator[list[Call]]:
    async with calls(clients) as ten:
        yield ten


@pytest.fixture
async def voice_live() -> AsyncIterator[Simulator]:
    async with simulator("voice-live", **FAST) as one:
        yield one


async def refuse(voice_live: Simulator, code: str, times: int, message: str = "no") -> None:
    await voice_live.put("/lab/faults", {"refuse": {"code": code, "message": message, "times": times}})


@pytest.mark.parametrize("code", CONTENT)
async def test_refused_content_costs_only_this_call_a_retry(
    clients: RedisClients, ten: list[Call], voice_live: Simulator, code: str
) -> None:
    await refuse(voice_live, code, times=1)
    async with relay_process(clients, model(voice_live)) as relay:
        began = time.monotonic()
        await ten[0].begin()
        await ten[0].told(VoiceReady)
        await ten[1].begin()
        await ten[1].told(VoiceReady)
        assert time.monotonic() - began < 5, "the resource was not paused"
        resource = relay.context.agents[DEFAULT].voice.dialers[0].resource
        assert await relay.context.quota.pause(resource, 0.01), "it was not"
        for call in ten[:2]:
            await call.end()


@pytest.mark.parametrize(
    ("code", "remedy"), [("agent_not_found", "AGENT_ID"), ("invalid_value", "agent profile"), ("x", "look up the code")]
)
async def test_a_call_is_given_up_after_two_refusals_while_others_continue(
    clients: RedisClients,
    ten: list[Call],
    voice_live: Simulator,
    code: str,
    remedy: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    await refuse(voice_live, code, times=2)
    async with relay_process(clients, model(voice_live)):
        await ten[0].begin()
        lost = await ten[0].told(VoiceLost)
        assert isinstance(lost, VoiceLost)
        assert code in lost.reason
        await ten[1].begin()
        await ten[1].told(VoiceReady)
        for call in ten[:2]:
            await call.end()
    lines = [vars(line)["bridge_fields"] for line in caplog.records if line.message == "failed to open voice session"]
    assert len(lines) == 2, "one retry"
    assert all(remedy in line["remedy"] for line in lines)
    assert "Cognitive Services User" not in str(lines)


async def test_a_rate_limit_on_the_open_socket_pauses_the_resource_until_its_retry_after(
    clients: RedisClients, ten: list[Call], voice_live: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    await refuse(voice_live, "rate_limit_exceeded", times=1, message="Please try again in 1.5s.")
    async with relay_process(clients, model(voice_live)):
        began = time.monotonic()
        await ten[0].begin()
        await ten[0].told(VoiceReady)
        assert time.monotonic() - began > 1.4
        await ten[0].end()
    paused = [line for line in caplog.records if line.message == "Voice Live resource paused"]
    assert [vars(line)["bridge_fields"]["for_s"] for line in paused] == [1.5]
    assert "access to Voice Live resource denied" not in caplog.text
