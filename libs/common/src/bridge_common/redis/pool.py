"""Connection pool that serves waiting commands in the order of their arrival, and the client that uses it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.maint_notifications import MaintNotificationsConfig

from bridge_common.redis.connections import OwnConnection

NO_MAINTENANCE_NOTIFICATIONS: Final = MaintNotificationsConfig(enabled=False)
"""Disables these notifications, which redis-py enables by default (docs/adr/0033)."""


class OwnPool(ConnectionPool):
    """Connection pool in which commands wait for a free connection for up to `timeout` seconds, first come, first
    served. In the blocking pool of redis-py a released connection goes to the next command that asks, not to one that
    waits (docs/adr/0036).
    """

    def __init__(self, *, timeout: float, max_connections: int, scripts: set[str], **kwargs: Any) -> None:
        kwargs["maint_notifications_config"] = NO_MAINTENANCE_NOTIFICATIONS
        super().__init__(max_connections=max_connections, scripts=scripts, **kwargs)
        self.scripts = scripts
        """Lua scripts that each new connection loads."""
        self._free = asyncio.Semaphore(max_connections)
        self._timeout_s = timeout

    async def get_connection(self, command_name: str | None = None, *keys: Any, **options: Any) -> OwnConnection:
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()
        connection: OwnConnection = self.get_available_connection()  # type: ignore[no-untyped-call]
        try:
            if connection.outdated:
                # It opens again with the newest token.
                await connection.disconnect(nowait=True)
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._free.acquire()
        except TimeoutError:
            busy = f"all {self.max_connections} connections to Redis were busy for {self._timeout_s:g} s"
            raise RedisConnectionError(busy) from None

    async def release(self, connection: AbstractConnection) -> None:
        try:
            await super().release(connection)
        finally:
            self._free.release()


class OwnRedis(Redis):
    """A client over `OwnPool`."""

    connection_pool: OwnPool

    def register_script(self, script: Any) -> Any:
        """Register a Lua script. Every connection that is opened later loads it."""
        self.connection_pool.scripts.add(script)
        return super().register_script(script)
