"""A Redis connection for the media path: commands leave as bytes, replies arrive by callback, in order.

redis-py opens it, so that address, TLS, authentication and protocol version match every other connection; then this
protocol replaces the library's streams on the socket. That saves the library's work for each command: packing in
Python, a task wake-up per reply, a timer per command. docs/adr/0009 has the reasons.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn, Protocol, cast

import hiredis
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from bridge_common.base.errors import error_text
from bridge_common.redis.connections import OwnConnection
from bridge_common.redis.replies import OnMessage, OnUnsubscribed, Replies

_TOKEN_S: Final = 0.5
"""Interval of checks for a newer token."""
RETRY_S: Final = 0.05


def _ignore(_channel: bytes, _message: bytes) -> None:
    pass


def _was_not_requested(_channel: bytes) -> bool:
    return False


class RedisPipeline:
    """One open Redis connection that does not wait for replies before it sends more commands. `Replies` dispatches the
    server's data.

    There are no retries: when the connection is lost, the sender decides. It implements `asyncio.Protocol` without
    inheriting from it, because a compiled class cannot have a base class that is not compiled.
    """

    def __init__(
        self,
        on_reply: Callable[[Any], None],
        on_message: OnMessage = _ignore,
        on_unsubscribed: OnUnsubscribed = _was_not_requested,
    ) -> None:
        """Create a pipeline without a connection; use `open`. The callbacks: see `Replies`."""
        self._replies = Replies(on_reply, on_message, on_unsubscribed)
        self._gather_s = 0.0
        self._gathering: asyncio.TimerHandle | None = None
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._connection: OwnConnection | None = None
        self._waits_since = 0.0
        self._patience_s = math.inf
        self._watch: asyncio.TimerHandle | None = None
        """Timer for a late reply. None while no reply is pending, so that an idle process is not woken."""

    @classmethod
    async def open(
        cls,
        redis: Redis,
        on_reply: Callable[[Any], None],
        on_message: OnMessage = _ignore,
        on_unsubscribed: OnUnsubscribed = _was_not_requested,
    ) -> RedisPipeline:
        """Open a connection with the settings of the client `redis`, one of `RedisClients`. Raises the errors of
        redis-py.
        """
        wire = cls(on_reply, on_message, on_unsubscribed)
        make: Callable[[], OwnConnection] = redis.connection_pool.make_connection
        connection = make()
        await connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it bare
        transport = connection.transport
        if transport is None or transport.is_closing():
            raise RedisConnectionError("the server closed the connection immediately")
        # The library's objects must live as long as the socket: their finalizers would close it.
        wire._connection, wire._transport = connection, transport
        transport.set_protocol(cast(asyncio.BaseProtocol, wire))
        return wire

    @property
    def is_open(self) -> bool:
        return not self._lost.done()

    def send(self, packed: bytes, replies: int = 1) -> None:
        """Write packed commands for which the server sends `replies` replies. On a lost connection they are dropped."""
        if self._transport is None or not self.is_open:
            return
        if self._replies.due == 0:
            self._waits_since = time.monotonic()
        self._replies.due += replies
        self._transport.write(packed)
        if self._watch is None:
            self._watch_replies()

    def gather(self, for_s: float) -> None:
        """After each read, stop reading for `for_s` seconds, so that replies are read in batches; 0 reads at once
        again. A wake-up of the process costs more than reading many replies, and the reply to an append is rarely
        urgent.
        """
        self._gather_s = for_s
        if not for_s and self._gathering is not None and self._transport is not None:
            self._gathering.cancel()
            self._gathering = None
            self._transport.resume_reading()

    async def until_lost(self, patience_s: float) -> str:
        """Wait until the connection is lost and return the reason. Closes it when no reply arrives for `patience_s`."""
        self._patience_s = patience_s
        self._watch_replies()
        connection = self._connection
        if connection is not None and connection.renews:
            while self.is_open and not connection.outdated:
                await asyncio.wait([self._lost], timeout=_TOKEN_S)
            # The next connection authenticates with the new token and resends the commands without a reply.
            self._give_up("the token was renewed")
        return await asyncio.shield(self._lost)

    def _watch_replies(self) -> None:
        """Close the connection if a reply is late, else set the timer for the next check."""
        self._watch = None
        if self._replies.due == 0 or self._patience_s == math.inf or not self.is_open:
            return
        left_s = self._waits_since + self._patience_s - time.monotonic()
        if left_s < 0:
            self._give_up(f"no reply for {self._patience_s} s")
        else:
            self._watch = asyncio.get_running_loop().call_later(left_s, self._watch_replies)

    def _give_up(self, reason: str) -> None:
        self._end(reason)
        self.abort()

    def abort(self) -> None:
        """Close the connection at once. Replies that are not dispatched yet are dropped."""
        self._end("closed by this process")
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol
    def data_received(self, data: bytes) -> None:
        self._waits_since = time.monotonic()
        try:
            self._replies.take(data)
        except hiredis.ProtocolError as error:
            self._give_up(f"the server sent data that is not the Redis protocol: {error}")
        if self._gather_s and self._transport is not None and self.is_open:
            self._transport.pause_reading()
            self._gathering = asyncio.get_running_loop().call_later(self._gather_s, self._read_on)

    def eof_received(self) -> bool:
        return False  # the transport closes

    def pause_writing(self) -> None:
        """Do nothing: senders are not notified. The transport buffers their data until a pending reply is late."""

    def resume_writing(self) -> None:
        pass

    def _read_on(self) -> None:
        self._gathering = None
        if self._transport is not None and self.is_open:
            self._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error_text(error) if error else "closed by the server")

    def _end(self, reason: str) -> None:
        self._replies.closed = True
        if not self._lost.done():
            self._lost.set_result(reason)
        for timer in (self._gathering, self._watch):
            if timer is not None:
                timer.cancel()
        if self._connection is not None:
            self._connection.release_transport()
            self._connection = None


class PipelineUser(Protocol):
    """Callbacks of the user of a connection that is reopened whenever it is lost."""

    def answered(self, reply: Any) -> None: ...

    def opened(self, wire: RedisPipeline) -> None: ...

    def closed(self) -> None:
        """Handle the loss of the connection. Commands without a reply may have been executed or not."""

    def failed(self, reason: str) -> None:
        """Handle a failed attempt to connect, or the loss of the connection, for this reason."""

    async def before_open(self) -> None:
        """Prepare an attempt to connect. Called before each attempt; may raise the errors of redis-py."""


async def keep_open(
    redis: Redis,
    user: PipelineUser,
    *,
    patience_s: float,
    on_message: OnMessage = _ignore,
    on_unsubscribed: OnUnsubscribed = _was_not_requested,
) -> NoReturn:
    """Keep a connection open for `user` until canceled. `patience_s`: see `RedisPipeline.until_lost`; the callbacks:
    see `Replies`.
    """
    while True:
        try:
            await user.before_open()
            wire = await RedisPipeline.open(redis, user.answered, on_message, on_unsubscribed)
        except (RedisError, OSError) as error:
            user.failed(error_text(error))
        else:
            try:
                user.opened(wire)
                reason = await wire.until_lost(patience_s)
            finally:
                wire.abort()
                user.closed()
            user.failed(reason)
        await asyncio.sleep(RETRY_S)


def pack(*parts: bytes | str | int) -> bytes:
    """Encode one command in RESP."""
    packed: bytes = hiredis.pack_command(parts)  # type: ignore[arg-type]  # its stub declares a tuple of one
    return packed
