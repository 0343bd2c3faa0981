"""Pending responses of a slow or silent service: the caller hears them in the end.

Each fault of the simulated Voice Live is played in each variant of the protocol.
"""

from __future__ import annotations

from typing import Final

import pytest

from agent_relay.core.dialog.debt import Limits
from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import Dtmf, VoiceLost
from lab.voice_live.settings import DEFAULT_API_KEY
from tests.integration.support.relay_call import relay_process
from tests.integration.support.relay_line import (
    AGAIN,
    AGENT,
    FALLBACK,
    FIRST,
    GREETING,
    NEVER,
    ONCE,
    PROFILE,
    SECOND,
    SERVER_ERROR,
    SHORT,
    Line,
    model,
)

# -- responses
SILENT: Final = ("text", "transcript", "empty")


@pytest.mark.parametrize("form", SILENT)
async def test_a_greeting_without_audio_is_requested_again(clients: RedisClients, line: Line, form: str) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin(response_silent={"form": form, **ONCE})
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[("greeting", AGAIN)])


@pytest.mark.parametrize("form", SILENT)
async def test_an_answer_without_audio_is_requested_again(clients: RedisClients, line: Line, form: str) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin()
        await line.hears()
        await line.now(response_silent={"form": form, **ONCE})
        await line.asks()
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, SECOND, overdue=[("words", AGAIN)])


@pytest.mark.parametrize("form", SILENT)
async def test_an_answer_without_audio_after_a_tool(clients: RedisClients, line: Line, form: str) -> None:
    runs: list[str] = []

    async def look_up(arguments: str) -> str:
        runs.append(arguments)
        return "found"

    reply = {"heard": "Where is my order?", "call": {"name": "lookup", "arguments": {"id": 7}}, "say": FIRST}
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, tools={"lookup": look_up}):
        await line.begin(agent={**AGENT, "replies": [reply]})
        await line.hears()
        await line.now(response_silent={"form": form, **ONCE})
        await line.asks()
        await line.hears()
        assert runs == ['{"id":7}']
        await line.ends(GREETING, FIRST, overdue=[("words", AGAIN)])


@pytest.mark.parametrize("form", SILENT)
async def test_an_agent_that_stays_silent_is_given_up(clients: RedisClients, line: Line, form: str) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin()
        await line.hears()
        await line.now(response_silent={"form": form})
        await line.asks()
        lost = await line.call.told(VoiceLost)
        assert isinstance(lost, VoiceLost)
        assert lost.reason == "the agent cannot be heard: words: no audio"
        assert len(await line.timeline("response_created")) == 1 + 3, "the answer twice, the fallback text once"
        await line.ends(GREETING, overdue=[("words", AGAIN), ("words", "fallback"), ("words", "given_up")])


async def test_the_fallback_text_is_spoken(clients: RedisClients, line: Line) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin()
        await line.hears()
        await line.now(response_silent={"form": "empty", "times": 2})
        await line.asks()
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FALLBACK, SECOND, overdue=[("words", AGAIN), ("words", "fallback")])


@pytest.mark.parametrize("form", SILENT)
async def test_an_answer_without_audio_of_azure_openai_ga(clients: RedisClients, line: Line, form: str) -> None:
    target = VoiceTarget(
        mode=Mode.AZURE_OPENAI_GA,
        endpoint=line.voice_live.url,
        api_version="v1",
        deployment="my-realtime",
        api_key=DEFAULT_API_KEY,
    )
    async with relay_process(clients, target, profile=PROFILE):
        await line.begin()
        await line.hears()
        await line.now(response_silent={"form": form, **ONCE})
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[("words", AGAIN)])


async def test_an_agent_may_work_for_a_long_time(clients: RedisClients, line: Line) -> None:
    """The agent works longer than a response may take to begin."""
    limits = Limits(start_s=0.5, patience_s=30.0, fallback_s=2.0)
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=limits):
        await line.begin()
        await line.hears()
        await line.now(response_slow={"delay_s": 1.5, **ONCE})
        await line.asks()
        await line.hears()
        assert len(await line.timeline("response_created")) == 2
        await line.ends(GREETING, FIRST, overdue=[])


async def test_a_response_that_is_created_late_is_not_requested_twice(clients: RedisClients, line: Line) -> None:
    """The second request is rejected because of the active response, and waits for it."""
    limits = Limits(start_s=0.5, patience_s=30.0, fallback_s=2.0)
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=limits):
        await line.begin()
        await line.hears()
        await line.now(response_slow={"delay_s": 1.5, "created": "late", **ONCE})
        await line.asks()
        await line.hears()
        assert len(await line.timeline("response_created")) == 2
        codes = [row["code"] for row in await line.timeline("error_sent")]
        assert codes.count("conversation_already_has_active_response") == 1
        await line.ends(GREETING, FIRST, overdue=[("words", AGAIN)])


@pytest.mark.parametrize("created", ["early", "late"])
async def test_a_response_that_never_comes_costs_one_session(clients: RedisClients, line: Line, created: str) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin(response_slow={**NEVER, "created": created, **ONCE})
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[("greeting", AGAIN)], sessions=2)


# -- requests
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        SERVER_ERROR,
        {"type": "server_error", "code": "internal_error"},
        {"type": "invalid_request_error", "code": "invalid_value"},
        {"type": "invalid_request_error", "code": None},
    ],
    ids=lambda error: f"{error['type']}-{error['code']}",
)
async def test_a_refused_request_is_sent_again(
    clients: RedisClients, line: Line, error: dict[str, object], named: bool
) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin(request_error={**error, "named": named, **ONCE})
        await line.hears()
        await line.now(request_error={**error, "named": named, **ONCE})
        line.call.send(Dtmf("1"), Dtmf("#"))
        await line.hears()
        assert (await line.call.notices()).count("request_refused") == 2
        await line.ends(GREETING, FIRST, overdue=[("greeting", AGAIN), ("keys", AGAIN)])


async def test_a_refused_form_of_the_greeting_is_not_a_failure(clients: RedisClients, line: Line) -> None:
    refusal = {"type": "invalid_request_error", "code": "invalid_value", "named": True, **ONCE}
    profile = AgentProfile(greeting=Greeting(text=GREETING))
    async with relay_process(clients, model(line.voice_live), profile=profile):
        await line.begin(request_error=refusal)
        await line.hears()
        await line.ends(GREETING, overdue=[])


async def test_an_unanswered_request_costs_one_session(clients: RedisClients, line: Line) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin(request_ignored=ONCE)
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[("greeting", AGAIN)], sessions=2)


async def test_a_service_that_answers_no_request_ends_the_call(clients: RedisClients, line: Line) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin(request_ignored={})
        await line.call.told(VoiceLost)
        overdue = [("greeting", AGAIN), ("greeting", "fallback"), ("greeting", "given_up")]
        assert len(await line.timeline("request_ignored")) == 3
        await line.ends(overdue=overdue, sessions=2)


# -- the liveness probe
@pytest.mark.parametrize(
    "probes",
    [
        None,
        {"answer": "ignored"},
        {"answer": "unnamed"},
        {"answer": "unnamed", "code": None},
        {"answer": "unnamed", "code": None, "message": "The request is invalid."},
    ],
    ids=["answered", "ignored", "unnamed", "no code", "no code, no id in the text"],
)
async def test_a_slow_answer_is_heard_whatever_becomes_of_probes(
    clients: RedisClients, line: Line, probes: dict[str, object] | None
) -> None:
    """The delay is longer than a probe and the wait for its answer."""
    always = {"probes": probes} if probes else {}
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin(**always)
        await line.hears()
        await line.now(**always, response_slow={"delay_s": 3.0, **ONCE})
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[])
