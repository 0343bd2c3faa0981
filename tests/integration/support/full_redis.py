"""A Redis that responds but rejects every command that needs memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge_common.redis.clients import RedisClients, command


@asynccontextmanager
async def full_redis(clients: RedisClients) -> AsyncIterator[None]:
    await command(clients.control, "CONFIG", "SET", "maxmemory-policy", "noeviction")
    await command(clients.control, "CONFIG", "SET", "maxmemory", 1)
    try:
        yield
    finally:
        await command(clients.control, "CONFIG", "SET", "maxmemory", 0)
