"""The routing policy in Redis: one key that all replicas read and replace by compare-and-swap."""

from __future__ import annotations

from typing import Final

from redis.asyncio import Redis

from bridge_common.redis.clients import command, redis_errors
from bridge_common.redis.scripts import load_script
from bridge_common.store.leases import BEGINNING
from bridge_common.streams.stream_entries import entries_of, xread

ROUTING: Final = "routing"
"""Key of the routing policy in force, with its version (JSON)."""
ROUTING_NEWS: Final = "{routing}:news"
"""Key of a stream in the same slot, with one entry for the newest change of the policy."""


class PolicyStore:
    def __init__(self, redis: Redis, blocking: Redis) -> None:
        self._redis = redis
        self._blocking = blocking
        self._news_cursor = BEGINNING
        self._swap = redis.register_script(load_script("call_control.routing", "policy_swap"))

    async def read(self) -> bytes:
        """Return the stored text, empty if there is none."""
        async with redis_errors("reading the routing policy"):
            found: bytes | None = await command(self._redis, "GET", ROUTING)
        return found or b""

    async def swap(self, old: bytes, new: bytes) -> bool:
        """Replace `old` by `new`; return false if another value is stored."""
        async with redis_errors("writing the routing policy"):
            return bool(await self._swap(keys=[ROUTING, ROUTING_NEWS], args=[old, new]))

    async def wait(self, timeout_ms: int) -> None:
        """Return once the policy has been replaced since the last wait, or after `timeout_ms`."""
        async with redis_errors("waiting for a change of the routing policy"):
            news = await xread(self._blocking, {ROUTING_NEWS: self._news_cursor}, count=1, block_ms=timeout_ms)
        for _, entry_id, _ in entries_of(news):
            self._news_cursor = entry_id
