"""Connection pool, and the client that uses it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.maint_notifications import MaintNotificationsConfig

NO_MAINTENANCE_NOTIFICATIONS: Final = MaintNotificationsConfig(enabled=False)
"""redis-py enables them by default. Why we do not: docs/adr/0033."""


class OwnPool(ConnectionPool):
    """When all connections are busy, commands wait for up to `timeout` seconds, first come, first served. The library's
    blocking pool is not fair (of 200 concurrent commands some waited for a second), and its locks, timers and counters
    are a third of the cost of a command.
    """

    def __init__(self, *, timeout: float, max_connections: int, scripts: set[str], **kwargs: Any) -> None:
        kwargs["maint_notifications_config"] = NO_MAINTENANCE_NOTIFICATIONS
        super().__init__(max_connections=max_connections, scripts=scripts, **kwargs)
        self.scripts = scripts
        """Loaded by each connection that opens from now on."""
        self._free = asyncio.Semaphore(max_connections)
        self._patience_s = timeout

    async def get_connection(self, command_name: str | None = None, *keys: Any, **options: Any) -> AbstractConnection:
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()
        async with self._lock:
            connection: AbstractConnection = self.get_available_connection()  # type: ignore[no-untyped-call]
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._free.acquire()
        except TimeoutError:
            busy = f"all {self.max_connections} connections to Redis were busy for {self._patience_s:g} s"
            raise RedisConnectionError(busy) from None

    async def release(self, connection: AbstractConnection) -> None:
        try:
            async with self._lock:
                self._in_use_connections.remove(connection)
                if connection.should_reconnect():  # type: ignore[no-untyped-call]  # redis-py leaves it bare
                    await connection.disconnect()
                self._available_connections.append(connection)
        finally:
            self._free.release()


class OwnRedis(Redis):
    """A client over `OwnPool`."""

    connection_pool: OwnPool

    def register_script(self, script: Any) -> Any:
        """The script is loaded by every connection that opens from now on."""
        self.connection_pool.scripts.add(script)
        return super().register_script(script)
