"""An HTTP connection of uvicorn with limits that uvicorn does not have: time limits, number of connections, peers that
do not read.

uvicorn waits without limit for a request head, for a body and for a peer to read its response, and it accepts any
number of connections: some thousand unfinished heads exhausted the memory of a pod within seconds. A reverse proxy has
these limits, but this service may be reachable without one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from bridge_common.observability.telemetry import CONNECTIONS_DROPPED
from bridge_common.service.pending_connections import PendingConnections, source_of

HEAD_S: Final = 5.0
"""Time limit of a request head."""
BODY_PAUSE_S: Final = 20.0
"""Maximum pause within a body. The endpoints limit its total time, except for a text that is being generated."""
UNREAD_S: Final = 30.0
"""Time limit for a peer to read a response that fills all buffers."""
LINGER_S: Final = 1.0
"""Time limit for a peer to read a response that was sent before its request was complete."""
_HEAD_BYTES: Final = 16 * 1024
"""Maximum size of a request head, unless uvicorn's configuration sets another limit."""
LINGER_BYTES: Final = 1024 * 1024
"""Maximum size of a body that is read and discarded while the connection lingers."""


@dataclass(frozen=True, slots=True)
class HttpTiming:
    head_s: float = HEAD_S
    body_pause_s: float = BODY_PAUSE_S
    unread_s: float = UNREAD_S
    linger_s: float = LINGER_S


class ConnectionPhase(Enum):
    """Phase of a connection. The value is the drop reason when its time limit expires."""

    HEAD = "slow"
    """A request head has begun to arrive, or the connection is new and nothing has arrived yet."""
    BODY = "slow_body"
    ANSWERING = "answering"
    """The request is complete and the response is not; there is no time limit here."""
    UNREAD = "unread"
    """The peer does not read the response."""
    IDLE = "idle"
    """The connection is between two requests; uvicorn limits this time."""
    LINGERING = "linger"
    """The response is complete and the request is not, or the connection is being closed."""


class HttpConnections:
    """The connections of one server. When there are more than `most`, the one that has been idle or lingering for the
    longest time is dropped.
    """

    def __init__(self, most: int, pending: PendingConnections, timing: HttpTiming | None = None) -> None:
        self.timing = timing or HttpTiming()
        self._most = most
        self._pending = pending
        self._all: set[HttpConnection] = set()
        self._answered: dict[HttpConnection, None] = {}
        """Idle or lingering connections, the longest first."""

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, connection: object) -> bool:
        return connection in self._all

    def enter(self, connection: HttpConnection) -> None:
        if len(self._all) >= self._most:
            # If all are busy with requests, the new connection is dropped.
            oldest = next(iter(self._answered), connection)
            self.leave(oldest)
            oldest.drop("total")
        self._all.add(connection)

    def leave(self, connection: HttpConnection) -> None:
        self._all.discard(connection)
        self._answered.pop(connection, None)
        self._pending.leave(connection)

    def moved(self, connection: HttpConnection, phase: ConnectionPhase) -> None:
        if phase is ConnectionPhase.HEAD:
            self._pending.enter(connection, connection.source, connection.abort)
        else:
            self._pending.leave(connection)
        if phase in (ConnectionPhase.IDLE, ConnectionPhase.LINGERING):
            self._answered[connection] = None
        else:
            self._answered.pop(connection, None)


class _StrictReader(h11.Connection):
    """HTTP parser that rejects a request with two lengths: a reverse proxy may have used the other one (RFC
    9112, 6.1).
    """

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        event = super().next_event()
        if isinstance(event, h11.Request):
            names = {name for name, _ in event.headers}
            if {b"content-length", b"transfer-encoding"} <= names:
                raise h11.RemoteProtocolError("both Content-Length and Transfer-Encoding")
        return event


class HttpConnection(H11Protocol):
    def __init__(self, connections: HttpConnections, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self.conn = _StrictReader(h11.SERVER, self.config.h11_max_incomplete_event_size or _HEAD_BYTES)
        self.source = ""
        self._connections = connections
        self._phase = ConnectionPhase.ANSWERING
        self._is_unread = False
        self._lingered_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def drop(self, why: str) -> None:
        CONNECTIONS_DROPPED.labels(why).inc()
        self.abort()

    def abort(self) -> None:
        self.transport.abort()

    # -- of asyncio
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.source = source_of(transport.get_extra_info("peername"))
        self._connections.enter(self)
        self._move(ConnectionPhase.HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        self._release()
        super().connection_lost(exc)
        # A reference cycle; the garbage collector runs too rarely for a flood of connections.
        self.cycle = None  # type: ignore[assignment]  # as before the first request

    def data_received(self, data: bytes) -> None:
        if self._phase is ConnectionPhase.LINGERING:
            self._lingered_bytes += len(data)
            if self._lingered_bytes > LINGER_BYTES:
                self.drop(ConnectionPhase.LINGERING.value)
                return
        super().data_received(data)
        self._look(progress=True)
        if self._phase is ConnectionPhase.BODY:
            self.flow.pause_reading()  # until the endpoint reads: it may reject the sender first

    def pause_writing(self) -> None:
        super().pause_writing()
        self._is_unread = True
        self._look()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_unread = False
        self._look()

    # -- of uvicorn
    def send_400_response(self, msg: str) -> None:
        """Respond with 400. Also ends a request that is still being handled: its endpoint gets a disconnect."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()  # the response has begun, or is complete
        if (error := sys.exception()) is not None:
            # A reference cycle through the frames of h11 would keep this connection.
            error.__traceback__ = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._look()

    def _unsupported_upgrade_warning(self) -> None:
        """Do not log an unsupported upgrade: the request gets an HTTP response."""

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over to the WebSocket protocol, with the frames that arrived together with the request,
        which uvicorn drops.
        """
        self._release()
        early, _ = self.conn.trailing_data
        super().handle_websocket_upgrade(event)
        if early and not self.transport.is_closing():
            # uvicorn has called the same method with the request.
            cast(asyncio.Protocol, self.transport.get_protocol()).data_received(early)

    # -- phases
    def _look(self, *, progress: bool = False) -> None:
        """Move to the current phase. `progress`: bytes have arrived."""
        if self not in self._connections:
            return
        phase = self._phase_now()
        if phase is not self._phase or (phase is ConnectionPhase.BODY and progress):
            self._move(phase)

    def _phase_now(self) -> ConnectionPhase:
        if self.transport.is_closing():
            return ConnectionPhase.LINGERING
        if self._is_unread:
            return ConnectionPhase.UNREAD
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        is_answered = cycle is None or cycle.response_complete
        if self.conn.their_state is h11.SEND_BODY:
            return ConnectionPhase.LINGERING if is_answered else ConnectionPhase.BODY
        if not is_answered:
            return ConnectionPhase.ANSWERING
        has_begun = cycle is None or bool(self.conn.trailing_data[0])
        return ConnectionPhase.HEAD if has_begun else ConnectionPhase.IDLE

    def _move(self, phase: ConnectionPhase) -> None:
        self._stop_clock()
        self._phase = phase
        self._connections.moved(self, phase)
        if phase is ConnectionPhase.LINGERING and self.cycle is not None:
            self.cycle.body = bytearray()  # it is not read any more
        if (limit_s := self._limit_s(phase)) is not None:
            self._deadline = self.loop.call_later(limit_s, self._is_late)

    def _is_late(self) -> None:
        if self._phase is ConnectionPhase.BODY and self.flow.read_paused:
            self._move(ConnectionPhase.BODY)  # the endpoint does not read
        else:
            self.drop(self._phase.value)

    def _limit_s(self, phase: ConnectionPhase) -> float | None:
        timing = self._connections.timing
        match phase:
            case ConnectionPhase.HEAD:
                return timing.head_s
            case ConnectionPhase.BODY:
                return timing.body_pause_s
            case ConnectionPhase.UNREAD:
                return timing.unread_s
            case ConnectionPhase.LINGERING:
                return timing.linger_s
            case ConnectionPhase.ANSWERING | ConnectionPhase.IDLE:
                return None

    def _release(self) -> None:
        self._stop_clock()
        self._connections.leave(self)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def http_connection(
    connections: HttpConnections, connection: type[HttpConnection] = HttpConnection
) -> Callable[..., HttpConnection]:
    """Return a factory for uvicorn's `http` option."""

    def make(**of_uvicorn: Any) -> HttpConnection:
        return connection(connections, **of_uvicorn)

    return make
