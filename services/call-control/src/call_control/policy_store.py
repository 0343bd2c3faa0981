"""The routing policy in Redis: one key that all replicas read, replaced only by who saw what stands there."""

from __future__ import annotations

from redis.asyncio import Redis

from bridge_common import scripts
from bridge_common.keys import ROUTING
from bridge_common.redis_clients import command, redis_errors


class PolicyStore:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._swap = redis.register_script(scripts.SWAP_ROUTING)

    async def read(self) -> bytes:
        """As it stands there; empty when nothing does."""
        async with redis_errors("reading the routing policy"):
            found: bytes | None = await command(self._redis, "GET", ROUTING)
        return found or b""

    async def swap(self, old: bytes, new: bytes) -> bool:
        """Put `new` where `old` stands; False when something else does."""
        async with redis_errors("writing the routing policy"):
            return bool(await self._swap(keys=[ROUTING], args=[old, new]))
