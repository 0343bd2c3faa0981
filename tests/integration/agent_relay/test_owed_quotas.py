"""Pending responses of a model that is rate limited: requested again on the same session, or given up.

Each fault of the simulated Voice Live is played in each variant of the protocol.
"""

from __future__ import annotations

from typing import Final

import pytest

from agent_relay.core.dialog.debt import Limits
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import VoiceLost
from tests.integration.support.relay_call import relay_process
from tests.integration.support.relay_line import (
    AGAIN,
    FIRST,
    GREETING,
    ONCE,
    PROFILE,
    SECOND,
    SHORT,
    Line,
    model,
)

QUOTAS: Final = (
    {"code": "rate_limit_exceeded", "type": "requests", "message": "Rate limit reached. Please try again in 200ms."},
    {"code": "rate_limit_exceeded", "type": "tokens", "message": "Rate limit reached. Please try again in 0.2s."},
    {"code": None, "type": "rate_limit_exceeded", "message": "Please retry after 1 seconds."},
    {"code": "429", "type": "invalid_request_error", "message": "Requests have exceeded the call rate limit."},
    {"code": "too_many_requests", "type": "server_error", "message": ""},
)


@pytest.mark.parametrize("form", ["done", "both"])
@pytest.mark.parametrize("quota", QUOTAS, ids=lambda quota: quota["message"][-12:] or "no hint")
async def test_an_answer_is_requested_again_after_the_stated_time(
    clients: RedisClients, line: Line, quota: dict[str, object], form: str
) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin()
        await line.hears()
        await line.now(response_failed={**quota, "form": form, **ONCE})
        await line.asks()
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, SECOND, overdue=[("words", "put_off")])


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("quota", QUOTAS[:3], ids=lambda quota: quota["message"][-12:])
async def test_a_request_is_repeated_after_the_stated_time(
    clients: RedisClients, line: Line, quota: dict[str, object], named: bool
) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin(request_error={**quota, "named": named, **ONCE})
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[("greeting", "put_off")])


async def test_an_error_instead_of_the_answer_is_tolerated(clients: RedisClients, line: Line) -> None:
    """The service began that response by itself: the error has no event id, and no request is pending."""
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin()
        await line.hears()
        await line.now(response_failed={**QUOTAS[1], "form": "error", **ONCE})
        await line.asks()
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, SECOND, overdue=[("words", AGAIN)])


@pytest.mark.parametrize("form", ["done", "error", "both"])
async def test_a_long_quota_outage_ends_a_running_call_on_the_same_session(
    clients: RedisClients, line: Line, form: str
) -> None:
    """The greeting was heard before the quota was exhausted."""
    limits = Limits(start_s=0.8, patience_s=1.5, fallback_s=2.0)
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=limits):
        await line.begin()
        await line.hears()
        await line.now(response_failed={**QUOTAS[3], "form": form})
        await line.asks()
        await line.call.told(VoiceLost)
        first = AGAIN if form == "error" else "put_off"
        overdue = [("words", first), ("words", "fallback"), ("words", "given_up")]
        await line.ends(GREETING, overdue=overdue)


@pytest.mark.parametrize("form", ["done", "error", "both"])
async def test_a_long_quota_outage_ends_a_new_call_on_the_same_session(
    clients: RedisClients, line: Line, form: str
) -> None:
    limits = Limits(start_s=0.8, patience_s=1.5, fallback_s=2.0)
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=limits):
        await line.begin(response_failed={**QUOTAS[3], "form": form})
        await line.call.told(VoiceLost)
        asked = await line.timeline("error_sent" if form == "error" else "response_created")
        assert len([row for row in asked if row.get("code") in (None, "429")]) == 3
        overdue = [("greeting", "put_off"), ("greeting", "fallback"), ("greeting", "given_up")]
        await line.ends(overdue=overdue)
