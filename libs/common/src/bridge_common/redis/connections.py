"""Connections of redis-py that also follow a failover and authenticate again with a renewed token.

They send without the library's `asyncio.wait_for`. Under Python 3.11 it creates a task per command and loses a
cancellation that arrives when the inner future ends (python/cpython#86296): a sending loop would then run forever.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

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

from bridge_common.base.errors import error_text
from bridge_common.redis.address import Address, certificate_name
from bridge_common.redis.endpoint import Endpoint


class RenewedCredentials(CredentialProvider, ABC):
    """Credentials whose password is a token that expires and is renewed in time."""

    @property
    @abstractmethod
    def token(self) -> str:
        """The newest token; empty before the first request."""

    @abstractmethod
    async def get_credentials_async(self) -> tuple[str, str]:
        """User and token; raises `RedisConnectionError` when no token is available."""

    @abstractmethod
    def refused(self, token: str) -> None:
        """Redis refused this token: replace it before it expires."""

    @abstractmethod
    async def aclose(self) -> None:
        """Stop renewing tokens."""


class _SignIn(CredentialProvider):
    """Records which token a connection has sent: there may be a newer one when the reply arrives."""

    def __init__(self, renewed: RenewedCredentials) -> None:
        self._renewed = renewed
        self.sent = ""

    async def get_credentials_async(self) -> tuple[str, str]:
        user, self.sent = await self._renewed.get_credentials_async()
        return user, self.sent

    def refused(self) -> None:
        self._renewed.refused(self.sent)

    @property
    def outdated(self) -> bool:
        return self._renewed.token != self.sent


class OwnConnection(AbstractConnection):
    """`place`: finds the server; without it the URL names the server. `scripts`: loaded on connect."""

    def __init__(self, *, place: Endpoint | None = None, scripts: Collection[str] = (), **kwargs: Any) -> None:
        self._place = place
        self._scripts = scripts
        self._sign_in: _SignIn | None = None
        self._signed_in = False
        super().__init__(**kwargs)
        if isinstance(self.credential_provider, RenewedCredentials):
            self.credential_provider = self._sign_in = _SignIn(self.credential_provider)

    @property
    def address(self) -> Address:
        return getattr(self, "host", ""), getattr(self, "port", 0)

    @property
    def renews(self) -> bool:
        """Whether it authenticates with tokens that expire."""
        return self._sign_in is not None

    @property
    def outdated(self) -> bool:
        """Whether there is a newer token than that of this connection."""
        return self._sign_in is not None and self._sign_in.outdated

    def abort(self) -> None:
        """Close the connection at once; pending replies fail."""
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
        # Implemented by the other base class of each subclass; untyped in redis-py.
        await super()._connect()  # type: ignore[safe-super, no-untyped-call]

    async def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        """Close a connection whose handshake was interrupted. redis-py does so after its own errors only: one that was
        canceled while waiting for a token would stay open without HELLO and answer in RESP2.
        """
        try:
            await super().connect_check_health(check_health, retry_socket_connect)
        except BaseException:
            await self.disconnect(nowait=True)
            raise

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        # No second AUTH during the handshake: it would get the replies of the handshake's commands.
        self._signed_in = False
        try:
            await super().on_connect_check_health(check_health)
        except (RedisConnectionError, RedisTimeoutError) as error:
            if self._sign_in is not None and isinstance(error, AuthenticationError):
                self._sign_in.refused()
            if self._place is not None:
                self._place.doubt(self.address)
            raise
        self._signed_in = True
        if self._place is not None:
            await self._check(self._place)
        await self._load_scripts()

    async def _check(self, place: Endpoint) -> None:
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
        """Without the library's `asyncio.wait_for` (see the module) and without its health check pings."""
        if self._writer is not None and self._writer.transport.is_closing():
            await self.disconnect(nowait=True)
        if self._sign_in is not None and check_health and self._signed_in and self.outdated and self.is_connected:
            await self._sign_in_again(self._sign_in)
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        parts = (
            [command.encode() if isinstance(command, str) else command] if isinstance(command, bytes | str) else command
        )
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self._send_packed_command(parts)
        except BaseException as error:
            # The command may have been sent in part, so the connection cannot be used any more.
            await self.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise RedisTimeoutError(f"Redis did not accept a command for {self.socket_timeout} s") from error
            if isinstance(error, OSError | RuntimeError):
                # uvloop raises RuntimeError for a transport that was just aborted.
                raise RedisConnectionError(f"the connection was ended: {error_text(error)}") from error
            raise

    async def _sign_in_again(self, sign_in: _SignIn) -> None:
        user, token = await sign_in.get_credentials_async()
        try:
            await self._ask("AUTH", user, token)
        except AuthenticationError:
            sign_in.refused()
            await self.disconnect(nowait=True)
            raise

    async def _ask(self, *command: str) -> Any:
        await self.send_command(*command, check_health=False)
        return await self.read_response()

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Closes the connection on MOVED and READONLY, so that the next one leads to the right server."""
        try:
            return await super().read_response(*args, **kwargs)
        except ResponseError as error:
            if not _is_misled(error):
                raise
            if self._place is not None:
                self._place.leave(self.address)
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"another server is in charge now: {error_text(error)}") from error


def _is_misled(error: ResponseError) -> bool:
    return isinstance(error, ReadOnlyError | MovedError)


class TcpConnection(OwnConnection, Connection): ...


class TlsConnection(OwnConnection, SSLConnection):
    def _connection_arguments(self) -> Mapping[str, Any]:
        arguments = dict(super()._connection_arguments())
        if self._place is not None:
            arguments["server_hostname"] = certificate_name(self.host, self._place.url_host)
        return arguments


class UnixConnection(OwnConnection, UnixDomainSocketConnection): ...


OWN_CLASSES: Final[Mapping[type[AbstractConnection], type[OwnConnection]]] = {
    Connection: TcpConnection,
    SSLConnection: TlsConnection,
    UnixDomainSocketConnection: UnixConnection,
}
"""Replacement for the connection class that redis-py chooses for a URL."""
