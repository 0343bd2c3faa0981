"""How many voice sessions the whole fleet may still open on a resource: Azure allows 30 new connections a minute.

A resource has so many tokens. Each connection takes one, which is back a little more than a minute later: so in no
minute, wherever it begins, there are more connections than allowed, and all of them may come at once. A handshake that
opened nothing gives its token back soon. Redis's clock counts, in one script.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from redis.asyncio import Redis

from bridge_common.redis.clients import redis_errors
from bridge_common.redis.scripts import load_script

BACK_AFTER_MS: Final = 61_000
"""A token is taken before the handshake that Azure counts, and the next one's handshake may be quicker than its was."""
FAILED_MS: Final = 500
"""A handshake that opened nothing counts for so long: a resource that is away is not flooded by the fleet."""
MOST_PAUSE_S: Final = 120.0
_TTL_MS: Final = 5 * BACK_AFTER_MS
_UNLIMITED: Final = 1_000_000


class Urgency(Enum):
    """Who asks, with the part of the tokens that they may use up: what is left is there for those before them."""

    RUNNING = 1.0
    """A caller is on the line and hears nobody: a lost session, a call taken over."""
    NEW = 0.8
    """A phone rings."""
    SPARE = 0.5
    """Nobody waits yet: warm sessions, the next session of a call whose session will expire or whose relay drains."""


@dataclass(frozen=True, slots=True)
class Grant:
    """`token` is empty when there was none; then asking again makes sense after `wait_s`."""

    token: str = ""
    wait_s: float = 0.0


class Quota(Protocol):
    async def take(self, resource: str, urgency: Urgency) -> Grant: ...
    async def free(self, resource: str, urgency: Urgency) -> int: ...
    async def give_back(self, resource: str, grant: Grant) -> None: ...
    async def pause(self, resource: str, for_s: float) -> bool: ...


class ConnectionQuota:
    """`per_minute` for each resource; 0: no limit, but pauses are kept. All methods raise `OutsideError`."""

    def __init__(self, redis: Redis, per_minute: int) -> None:
        self._per_minute = per_minute
        self._take = redis.register_script(load_script("agent_relay.voice", "quota_take"))
        self._free = redis.register_script(load_script("agent_relay.voice", "quota_free"))
        self._give_back = redis.register_script(load_script("agent_relay.voice", "quota_give_back"))
        self._pause = redis.register_script(load_script("agent_relay.voice", "quota_pause"))

    async def take(self, resource: str, urgency: Urgency) -> Grant:
        token = uuid.uuid4().hex
        async with redis_errors("taking a connection"):
            granted, wait_ms = await self._take(
                keys=[quota(resource)],
                args=[token, self._most(urgency), BACK_AFTER_MS if self._per_minute else 1, _TTL_MS],
            )
        return Grant(token) if granted else Grant(wait_s=int(wait_ms) / 1000)

    async def free(self, resource: str, urgency: Urgency) -> int:
        """How many connections could be taken now; none is."""
        async with redis_errors("counting connections"):
            return int(await self._free(keys=[quota(resource)], args=[self._most(urgency)]))

    async def give_back(self, resource: str, grant: Grant) -> None:
        """Nothing was opened."""
        async with redis_errors("giving a connection back"):
            await self._give_back(keys=[quota(resource)], args=[grant.token, FAILED_MS])

    async def pause(self, resource: str, for_s: float) -> bool:
        """Leave the resource alone, all of the fleet; False when it was left alone already."""
        pause_ms = int(min(max(for_s, 0.0), MOST_PAUSE_S) * 1000)
        async with redis_errors("pausing a resource"):
            return bool(await self._pause(keys=[quota(resource)], args=[pause_ms, _TTL_MS]))

    def _most(self, urgency: Urgency) -> int:
        return max(1, int(self._per_minute * urgency.value)) if self._per_minute else _UNLIMITED


def quota(resource: str) -> str:
    """The connections that a Voice Live resource has taken in the last minute, of the whole fleet."""
    return f"quota:{resource}"
