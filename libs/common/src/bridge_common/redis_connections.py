"""Our connections: those of redis-py, which follow a server that moves and are signed in anew with a new token. And the
pool that keeps them.

They also send without the `asyncio.wait_for` that the library puts around it. Under Python 3.11 that makes a task for
each command, and answers a cancellation that comes as the inner future ends with the result (python/cpython#86296): a
loop that sends would then run for ever.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError, MovedError, ReadOnlyError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bridge_common.redis_address import Address
from bridge_common.redis_places import Place


class RenewedCredentials(CredentialProvider, ABC):
    """Credentials whose password is a token that runs out, and is renewed in time."""

    @property
    @abstractmethod
    def token(self) -> str:
        """The newest one, empty before the first was asked for."""

    @abstractmethod
    async def get_credentials_async(self) -> tuple[str, str]:
        """User and token; raises `RedisConnectionError` when there is none to be had."""

    @abstractmethod
    def refused(self, token: str) -> None:
        """Redis did not take this one: another one is needed before its time."""

    @abstractmethod
    async def aclose(self) -> None:
        """Renew no more."""


class OwnConnection(AbstractConnection):
    """`place`: finds the server; without it the URL names the server. `scripts`: loaded on connect."""

    def __init__(self, *, place: Place | None = None, scripts: Collection[str] = (), **kwargs: Any) -> None:
        self._place = place
        self._scripts = scripts
        self._signed_in_with = ""
        super().__init__(**kwargs)
        credentials = self.credential_provider
        self._renewed = credentials if isinstance(credentials, RenewedCredentials) else None

    @property
    def address(self) -> Address:
        return getattr(self, "host", ""), getattr(self, "port", 0)

    @property
    def renews(self) -> bool:
        """Whether it signs in with tokens that run out."""
        return self._renewed is not None

    @property
    def outdated(self) -> bool:
        """Whether there is a newer token than the one this connection signed in with."""
        return self._renewed is not None and self._renewed.token != self._signed_in_with

    def abort(self) -> None:
        """End it now; whoever waits for a reply is told."""
        if self._writer is not None:
            self._writer.transport.abort()

    # -- as redis-py calls it
    async def _connect(self) -> None:
        if self._place is None:
            await self._connect_there()
            return
        address = await self._place.find()
        self.host, self.port = address
        try:
            await self._connect_there()
        except (OSError, TimeoutError):
            self._place.doubt(address)
            raise
        self._place.joined(self)

    async def _connect_there(self) -> None:
        # Of the class beside this one. redis-py leaves it bare.
        await super()._connect()  # type: ignore[safe-super, no-untyped-call]

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        try:
            await super().on_connect_check_health(check_health)
        except (RedisConnectionError, RedisTimeoutError) as error:
            if self._renewed is not None and isinstance(error, AuthenticationError):
                self._renewed.refused(self._renewed.token)
            if self._place is not None:
                self._place.doubt(self.address)
            raise
        if self._renewed is not None:
            self._signed_in_with = self._renewed.token
        if self._place is not None:
            await self._check(self._place)
        await self._load_scripts()

    async def _check(self, place: Place) -> None:
        try:
            await place.check(self._ask)
        except (RedisConnectionError, ResponseError):
            place.leave(self.address)
            raise

    async def _load_scripts(self) -> None:
        """A restarted server or a promoted replica has no scripts: without this, the first call after it would wait for
        the NOSCRIPT error and two more round trips.
        """
        scripts = list(self._scripts)
        if not scripts:
            return
        packed = self.pack_commands([("SCRIPT LOAD", script) for script in scripts])
        await self.send_packed_command(packed, check_health=False)
        for _ in scripts:
            # Without the permission to load scripts, redis-py loads a script, or sends it in full, when it is used.
            with suppress(ResponseError):
                await self.read_response()

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Without the library's `asyncio.wait_for`, see above; and without its pings, which nobody here asks for."""
        if self._writer is not None and self._writer.transport.is_closing():
            await self.disconnect(nowait=True)
        if self._renewed is not None and self.outdated and check_health and self.is_connected:
            await self._sign_in_again(self._renewed)
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        parts = (
            [command.encode() if isinstance(command, str) else command] if isinstance(command, bytes | str) else command
        )
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self._send_packed_command(parts)
        except BaseException as error:
            # What was begun is not taken back: the connection is of no use any more.
            await self.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise RedisTimeoutError("Timeout writing to socket") from error
            if isinstance(error, OSError | RuntimeError):
                # RuntimeError is what uvloop says of a transport that was aborted a moment ago.
                raise RedisConnectionError(f"the connection was ended: {error}") from error
            raise

    async def _sign_in_again(self, renewed: RenewedCredentials) -> None:
        user, token = await renewed.get_credentials_async()
        await self._ask("AUTH", user, token)
        self._signed_in_with = token

    async def _ask(self, *command: str) -> Any:
        await self.send_command(*command, check_health=False)
        return await self.read_response()

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """A refusal that says "not me" ends this connection: the next one leads to the right server."""
        try:
            return await super().read_response(*args, **kwargs)
        except ResponseError as error:
            if not _is_misled(error):
                raise
            if self._place is not None:
                self._place.leave(self.address)
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"another server is in charge now: {error}") from error


def _is_misled(error: ResponseError) -> bool:
    return isinstance(error, ReadOnlyError | MovedError)


class TcpConnection(OwnConnection, Connection): ...


class TlsConnection(OwnConnection, SSLConnection):
    def _connection_arguments(self) -> Mapping[str, Any]:
        arguments = dict(super()._connection_arguments())
        if self._place is not None and self._place.server_name is not None:
            arguments["server_hostname"] = self._place.server_name
        return arguments


class UnixConnection(OwnConnection, UnixDomainSocketConnection): ...


OWN_CLASSES: Final[Mapping[type[AbstractConnection], type[OwnConnection]]] = {
    Connection: TcpConnection,
    SSLConnection: TlsConnection,
    UnixDomainSocketConnection: UnixConnection,
}
"""Ours in place of the one that redis-py chose for a URL."""


class OwnPool(ConnectionPool):
    """When all connections are busy the next command waits for one, for `timeout` seconds at most; who came first gets
    it first. The library's own pool that waits lets others overtake (of 200 at once some waited for a second), and its
    locks, timers and counters are a third of what a command costs.
    """

    def __init__(self, *, timeout: float, max_connections: int, scripts: set[str], **kwargs: Any) -> None:
        super().__init__(max_connections=max_connections, scripts=scripts, **kwargs)
        self.scripts = scripts
        """Each connection that opens from now on loads them."""
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
            raise RedisConnectionError("No connection available.") from None

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
