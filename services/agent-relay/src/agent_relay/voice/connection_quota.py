"""Quota of new connections per resource for the whole fleet (Azure allows 30 a minute), counted in Redis.

A resource has one token for each connection of a minute. A token returns a little more than a minute after it was
taken, so no window of a minute contains more connections than allowed, and all of them may be opened at once. The token
of a failed handshake returns early. The scripts use the clock of Redis.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from enum import Enum
from typing import Final

from redis.asyncio import Redis

from bridge_common.redis.clients import redis_errors
from bridge_common.redis.scripts import load_script

BACK_AFTER_MS: Final = 61_000
"""Time until a token returns. It is more than a minute, because Azure counts the handshake, which begins after the
token was taken.
"""
FAILED_MS: Final = 500
"""Time until the token of a failed handshake returns, so that the fleet does not flood an unreachable resource."""
MOST_PAUSE_S: Final = 120.0
_TTL_MS: Final = 5 * BACK_AFTER_MS
_UNLIMITED: Final = 1_000_000


class Urgency(Enum):
    """Priority of a connection: the fraction of the tokens that it may use up. The rest is reserved for higher
    priorities.
    """

    RUNNING = 1.0
    """The caller is connected and hears no agent: the session was lost, or the relay died."""
    NEW = 0.8
    """The call is ringing."""
    BACKGROUND = 0.5
    """No caller is waiting: warm sessions, hand-overs, the replacement of a session that will expire."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A token of the quota. It is empty if none was left; then one may be available after `wait_s`."""

    token: str = ""
    wait_s: float = 0.0


class ConnectionQuota:
    """The connection quota of all resources. `per_minute`: new connections for each resource; 0: no limit, but pauses
    are respected. All methods raise `OutsideError`.
    """

    def __init__(
        self, redis: Redis, per_minute: int, *, back_after_ms: int = BACK_AFTER_MS, failed_ms: int = FAILED_MS
    ) -> None:
        self._exhausted_until = 0.0
        self._per_minute = per_minute
        self._back_after_ms = back_after_ms if per_minute else 1
        self._failed_ms = failed_ms
        self._take = redis.register_script(load_script("agent_relay.voice", "quota_take"))
        self._free = redis.register_script(load_script("agent_relay.voice", "quota_free"))
        self._give_back = redis.register_script(load_script("agent_relay.voice", "quota_give_back"))
        self._pause = redis.register_script(load_script("agent_relay.voice", "quota_pause"))

    @property
    def per_minute(self) -> int:
        """New connections per minute for each resource; 0: no limit."""
        return self._per_minute

    async def take(self, resource: str, urgency: Urgency, credential: str = "") -> Grant:
        """`credential`: identifies the credential of the connection; the pauses of others do not apply to it."""
        token = uuid.uuid4().hex
        async with redis_errors("taking a connection"):
            granted, wait_ms = await self._take(
                keys=[quota(resource)],
                args=[token, self._most(urgency), self._back_after_ms, _TTL_MS, credential],
            )
        return Grant(token) if granted else Grant(wait_s=int(wait_ms) / 1000)

    async def free(self, resource: str, urgency: Urgency) -> int:
        """Return the number of tokens that could be taken now."""
        async with redis_errors("counting connections"):
            return int(await self._free(keys=[quota(resource)], args=[self._most(urgency)]))

    @property
    def exhausted(self) -> bool:
        """Whether, as far as this process knows, no resource has a connection for a call."""
        return time.monotonic() < self._exhausted_until

    def note_exhausted(self, wait_s: float) -> None:
        """Note that all resources of a call have refused a connection, and that one may be available after `wait_s`."""
        self._exhausted_until = time.monotonic() + wait_s

    async def give_back(self, resource: str, grant: Grant) -> None:
        """Return the token of a failed handshake early."""
        async with redis_errors("giving a connection back"):
            await self._give_back(keys=[quota(resource)], args=[grant.token, self._failed_ms])

    async def pause(self, resource: str, for_s: float, credential: str = "") -> bool:
        """Prevent all relays from connecting to the resource for this time, or only with this credential. Return False
        if it was already paused.
        """
        member = f"pause:{credential}" if credential else "pause"
        pause_ms = int(min(max(for_s, 0.0), MOST_PAUSE_S) * 1000)
        async with redis_errors("pausing a resource"):
            return bool(await self._pause(keys=[quota(resource)], args=[pause_ms, _TTL_MS, member]))

    def _most(self, urgency: Urgency) -> int:
        return max(1, int(self._per_minute * urgency.value)) if self._per_minute else _UNLIMITED


def quota(resource: str) -> str:
    """Return the Redis key of the tokens in use."""
    return f"quota:{resource}"
