"""A Redis connection for the media path: commands leave as bytes, replies arrive by callback, in order.

redis-py opens it, so that addresses, TLS, authentication and protocol version are those of every other connection; then
its socket gets this protocol instead of the library's streams. What is left out is the library's work for each command:
packing in Python, a task's wake-up for each reply, a timer for each command. Why that is worth a module of its own
stands in docs/adr/0009.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn, Protocol, cast

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from bridge_common.base.errors import error_text
from bridge_common.redis.connections import OwnConnection
from bridge_common.redis.replies import Left, Replies, Told

_TOKEN_S: Final = 0.5
"""So often it is asked whether there is a newer token."""
RETRY_S: Final = 0.05


def _nobody(_channel: bytes, _message: bytes) -> None:
    pass


def _unasked(_channel: bytes) -> bool:
    return False


class RedisPipeline:
    """One open connection. What the server says goes where `Replies` says.

    Nothing is retried here: when the connection is gone, whoever sent something decides. It is an `asyncio.Protocol`
    by its methods and not by descent: a class that is compiled has no base that is not.
    """

    def __init__(self, on_reply: Callable[[Any], None], told: Told = _nobody, left: Left = _unasked) -> None:
        """`told` gets what is told on a channel that this connection has subscribed to; `left`: see `Left`."""
        self._replies = Replies(on_reply, told, left)
        self._gather_s = 0.0
        self._gathering: asyncio.TimerHandle | None = None
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._connection: AbstractConnection | None = None
        self._waits_since = 0.0
        self._patience_s = math.inf
        self._watch: asyncio.TimerHandle | None = None
        """When the reply that is due would be late. None while none is due: who is idle is not woken."""

    @classmethod
    async def open(
        cls, redis: Redis, on_reply: Callable[[Any], None], told: Told = _nobody, left: Left = _unasked
    ) -> RedisPipeline:
        """A connection as the client `redis` would open it. Raises what redis-py raises."""
        wire = cls(on_reply, told, left)
        make: Callable[[], AbstractConnection] = redis.connection_pool.make_connection
        connection = make()
        await connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it bare
        writer = connection._writer
        transport = cast(asyncio.Transport, writer.transport) if writer is not None else None
        if transport is None or transport.is_closing():
            raise RedisConnectionError("the connection closed as soon as it was open")
        # The library's objects have to live as long as the socket: their finalizers would close it.
        wire._connection, wire._transport = connection, transport
        transport.set_protocol(cast(asyncio.BaseProtocol, wire))
        return wire

    @property
    def is_open(self) -> bool:
        return not self._lost.done()

    def send(self, packed: bytes, replies: int = 1) -> None:
        """Write packed commands that will get so many replies; on a lost connection they go nowhere."""
        if self._transport is None or not self.is_open:
            return
        if self._replies.due == 0:
            self._waits_since = time.monotonic()
        self._replies.due += replies
        self._transport.write(packed)
        if self._watch is None:
            self._watch_replies()

    def gather(self, for_s: float) -> None:
        """After replies were read, leave those that follow in the socket for so long. Each wake-up of a process costs
        more than the reading of many replies, and to an append the reply is seldom news.
        """
        self._gather_s = for_s
        if not for_s and self._gathering is not None and self._transport is not None:
            self._gathering.cancel()
            self._gathering = None
            self._transport.resume_reading()

    async def until_lost(self, patience_s: float) -> str:
        """Return why the connection ended; ends it when a reply is due for longer than `patience_s`."""
        self._patience_s = patience_s
        self._watch_replies()
        connection = self._connection
        if isinstance(connection, OwnConnection) and connection.renews:
            while self.is_open and not connection.outdated:
                await asyncio.wait([self._lost], timeout=_TOKEN_S)
            # Another connection signs in with the new token; what is unanswered here is sent again there.
            self._give_up("the token was renewed")
        return await asyncio.shield(self._lost)

    def _watch_replies(self) -> None:
        """End the connection when a reply is late; come back when one could be."""
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
        """Drop the connection now; not even a reply that has come already is handed out any more."""
        self._end("dropped by us")
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol
    def data_received(self, data: bytes) -> None:
        self._waits_since = time.monotonic()
        try:
            self._replies.take(data)
        except hiredis.ProtocolError as error:
            self._give_up(f"this is not the Redis protocol: {error}")
        if self._gather_s and self._transport is not None and self.is_open:
            self._transport.pause_reading()
            self._gathering = asyncio.get_running_loop().call_later(self._gather_s, self._read_on)

    def eof_received(self) -> bool:
        return False  # the transport closes

    def pause_writing(self) -> None:
        """Nobody is told: what is sent meanwhile waits in the transport, until the reply that is due is too late."""

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
            # Not `disconnect`: that would wait for a protocol that is no longer the socket's.
            self._connection._close()  # type: ignore[no-untyped-call]
            self._connection = None


class PipelineUser(Protocol):
    """Who speaks over a connection that is made again whenever it is lost."""

    def answered(self, reply: Any) -> None: ...

    def opened(self, wire: RedisPipeline) -> None: ...

    def closed(self) -> None:
        """The connection is of no use any more; what was sent and not answered may have been done or not."""

    def failed(self, reason: str) -> None:
        """Why there is no connection. Called at each attempt."""

    async def before_open(self) -> None:
        """What has to be put right before another connection can serve. May raise what redis-py raises."""


async def keep_open(
    redis: Redis, user: PipelineUser, *, patience_s: float, told: Told = _nobody, left: Left = _unasked
) -> NoReturn:
    """Give `user` a connection, one after the other, until cancelled.

    `patience_s`: see `RedisPipeline.until_lost`; `told` and `left`: see `RedisPipeline`.
    """
    while True:
        try:
            await user.before_open()
            wire = await RedisPipeline.open(redis, user.answered, told, left)
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
    """One command as Redis reads it."""
    packed: bytes = hiredis.pack_command(parts)  # type: ignore[arg-type]  # its stub says a tuple of one
    return packed
