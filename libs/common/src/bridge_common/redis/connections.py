"""Connections of redis-py that also follow a failover, authenticate with renewed tokens and load our scripts.

They send without the library's `asyncio.wait_for`. Under Python 3.11 it creates a task per command and loses a
cancellation that arrives when the inner future ends (python/cpython#86296): a sending loop would then run forever.

The private attributes of redis-py that the services use are all in this module: `_writer`, `_close`,
`_send_packed_command` and `_connection_arguments`. docs/adr/0036 has the reasons.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import AuthenticationError, MovedError, ReadOnlyError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bridge_common.base.errors import error_text
from bridge_common.redis.address import Address, certificate_name
from bridge_common.redis.endpoint import Endpoint

if TYPE_CHECKING:
    # It needs azure-identity, which is large.
    from bridge_common.redis.credentials import EntraCredentials


class OwnConnection(AbstractConnection):
    """A redis-py connection that follows a failover. `endpoint` finds the server; without it, the URL contains the
    address. `credentials` returns user and password for each handshake; without it, those of the URL apply. `scripts`
    are loaded on connect.
    """

    def __init__(
        self,
        *,
        endpoint: Endpoint | None = None,
        credentials: EntraCredentials | None = None,
        scripts: Collection[str] = (),
        **kwargs: Any,
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._scripts = scripts
        super().__init__(**kwargs)

    @property
    def address(self) -> Address:
        return getattr(self, "host", ""), getattr(self, "port", 0)

    @property
    def renews(self) -> bool:
        """Whether it authenticates with tokens that expire."""
        return self._credentials is not None

    @property
    def outdated(self) -> bool:
        """Whether a newer token than that of this connection is available."""
        return self._credentials is not None and self._credentials.token != self.password

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport of the socket; None while the connection is closed."""
        return cast(asyncio.Transport, self._writer.transport) if self._writer is not None else None

    def abort(self) -> None:
        """Close the connection at once; pending replies fail."""
        if self._writer is not None:
            self._writer.transport.abort()
            self.release_transport()

    def release_transport(self) -> None:
        """Close the socket without waiting, even if it has another protocol than redis-py's by now: `disconnect` would
        then wait forever.
        """
        self._close()  # type: ignore[no-untyped-call]  # redis-py leaves it bare

    # -- overrides of redis-py
    async def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        """Find the server, connect, authenticate, check the server's role and load the scripts."""
        if self.is_connected:
            return
        endpoint = self._endpoint
        if endpoint is not None:
            self.host, self.port = await endpoint.find()
            endpoint.register(self)
        if self._credentials is not None:
            # Before the socket opens: redis-py leaves a connection open whose handshake is canceled while it waits for
            # credentials, without HELLO, and the next command gets replies in RESP2.
            self.username, self.password = await self._credentials.get()
        try:
            await super().connect_check_health(check_health, retry_socket_connect and endpoint is None)
        except (RedisConnectionError, RedisTimeoutError) as error:
            if self._credentials is not None and isinstance(error, AuthenticationError):
                self._credentials.refused(self.password or "")
            if endpoint is not None:
                endpoint.invalidate(self.address)
            raise
        if endpoint is not None:
            await self._check(endpoint)
        await self._load_scripts()

    async def _check(self, endpoint: Endpoint) -> None:
        try:
            await endpoint.check(self._ask)
        except (RedisConnectionError, ResponseError):
            endpoint.evict(self.address)
            await self.disconnect(nowait=True)
            raise
        if endpoint.has_moved_from(self.address):
            await self.disconnect(nowait=True)
            raise RedisConnectionError("another server took over while the connection was being opened")

    async def _load_scripts(self) -> None:
        """Load the scripts. A restarted server or a promoted replica has none, so the first call of a script would wait
        for the NOSCRIPT error and two more round trips.
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

    async def _ask(self, *command: str) -> Any:
        await self.send_command(*command, check_health=False)
        return await self.read_response()

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Send a command without the `asyncio.wait_for` of redis-py (see the module) and without its health check."""
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if isinstance(command, bytes | str):
            command = [command.encode() if isinstance(command, str) else command]
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self._send_packed_command(command)
        except BaseException as error:
            # The command may have been sent in part, so the connection cannot be used any more.
            await self.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise RedisTimeoutError(f"Redis did not accept a command for {self.socket_timeout} s") from error
            if isinstance(error, OSError | RuntimeError):
                # uvloop raises RuntimeError for a transport that was just aborted.
                raise RedisConnectionError(f"the connection was closed: {error_text(error)}") from error
            raise

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Read a reply. On MOVED and READONLY, close the connection, so that the next one goes to the right server."""
        try:
            return await super().read_response(*args, **kwargs)
        except (ReadOnlyError, MovedError) as error:
            if self._endpoint is not None:
                self._endpoint.evict(self.address)
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"the server no longer has this role or slot: {error_text(error)}") from error


class TcpConnection(OwnConnection, Connection): ...


class TlsConnection(OwnConnection, SSLConnection):
    def _connection_arguments(self) -> Mapping[str, Any]:
        arguments = dict(super()._connection_arguments())
        if self._endpoint is not None:
            arguments["server_hostname"] = certificate_name(self.host, self._endpoint.url_host)
        return arguments


class UnixConnection(OwnConnection, UnixDomainSocketConnection): ...


OWN_CLASSES: Final[Mapping[type[AbstractConnection], type[OwnConnection]]] = {
    Connection: TcpConnection,
    SSLConnection: TlsConnection,
    UnixDomainSocketConnection: UnixConnection,
}
"""Our subclass of each connection class that redis-py chooses for a URL."""
