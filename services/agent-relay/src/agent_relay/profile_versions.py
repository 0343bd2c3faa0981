"""Profile versions in Redis, so that a running call keeps its version on a relay that has never read it: after a
deployment with a changed file, relays with the old file hand their calls over to relays that know only the new one.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from pydantic import ValidationError
from redis.asyncio import Redis

from agent_relay.agents import Agents, AgentVersion
from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.profiles import Check
from bridge_common.base.errors import OutsideError
from bridge_common.base.log import fields
from bridge_common.redis.clients import redis_errors
from bridge_common.wire.call_record import CallRecord
from bridge_common.wire.keys import LIVE_TTL_S

log = logging.getLogger(__name__)

STORE_EVERY_S: Final = LIVE_TTL_S / 2
"""A version that is in use is stored again after this time, so that it outlives all its calls."""


class ProfileVersions:
    """`check`: yields the mistakes of profiles, such as secrets that this relay does not have."""

    def __init__(self, redis: Redis, agents: Agents, check: Check = lambda _: ()) -> None:
        self._redis = redis
        self._agents = agents
        self._check = check
        self._stored_at: dict[str, float] = {}

    async def agent_of(self, record: CallRecord) -> AgentVersion:
        """Return the agent of a call: with the version that its record names, otherwise the newest. A failure is
        logged, because the call can continue with the newest version.
        """
        agent = self._agents.of(record)
        try:
            if not record.profile_version:
                await self._store(agent.profile)
            elif record.profile_version != agent.version:
                agent = await self._restored(record) or agent
        except OutsideError as error:
            log.warning(
                "profile versions unavailable; using the newest",
                extra=fields(call_id=record.call_id, error=error.message),
            )
        return agent

    async def _store(self, profile: AgentProfile) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._stored_at.get(profile.version, -STORE_EVERY_S) + STORE_EVERY_S:
            return
        text = profile.model_dump_json(exclude_defaults=True)
        async with redis_errors("storing a profile version"):
            await self._redis.set(_key(profile.version), text, ex=LIVE_TTL_S)
        self._stored_at[profile.version] = now

    async def _restored(self, record: CallRecord) -> AgentVersion | None:
        async with redis_errors("reading a profile version"):
            text = await self._redis.get(_key(record.profile_version))
        if text is None:
            _log_replaced(record, "not found in Redis")
            return None
        try:
            profile = AgentProfile.model_validate_json(text)
            mistakes = "; ".join(self._check({record.profile: profile}))
        except ValidationError as error:
            mistakes = str(error)  # stored by another release
        if mistakes:
            _log_replaced(record, mistakes)
            return None
        return self._agents.keep(record.profile, profile)


def _log_replaced(record: CallRecord, reason: str) -> None:
    lost = {"profile": record.profile, "profile_version": record.profile_version}
    log.warning(
        "profile version unusable; using the newest", extra=fields(call_id=record.call_id, **lost, reason=reason)
    )


def _key(version: str) -> str:
    return f"profile:{version}"
