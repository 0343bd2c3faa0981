"""A WebSocket protocol for uvicorn (`ws=`) that parses frames in C, with picows.

It implements ASGI, so any application runs on it. A route that uses the extension `EXTENSION` receives its frames by
callback instead, without a queue, a task and a wake-up for each frame.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import Enum
from typing import Any, Final
from urllib.parse import unquote

from picows import WSAutoPingStrategy, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stub
from starlette.responses import Response
from uvicorn import Config
from uvicorn.protocols.utils import ClientDisconnected, get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from bridge_common.service.http_responses import FAILED, error_response
from bridge_common.service.pending_connections import PendingConnections, source_of
from media_gateway.socket.asgi_messages import AsgiMessages
from media_gateway.socket.direct_socket import LARGEST_MESSAGE_BYTES, DirectSocket
from media_gateway.socket.frame_socket import ABRUPT, EXTENSION, GOING_AWAY, INTERNAL, NORMAL
from media_gateway.socket.upgrade_request import UpgradeRequest, encode_response

log = logging.getLogger(__name__)

READ_BYTES: Final = 4096
"""Size of the first read of a socket: a few frames. picows doubles it after a full read."""
_GOING_AWAY: Final = error_response(503, "unavailable", "the service is shutting down")
_FORBIDDEN: Final = error_response(403, "forbidden", "the service rejected the connection")


class HandshakeState(Enum):
    CONNECTING = "connecting"
    RESPONDING = "responding"
    """The application rejects the connection with its own HTTP response."""
    OPEN = "open"
    ENDED = "ended"
    """An HTTP response other than 101 was sent, or the connection is lost."""


class PicowsProtocol(WSProtocol):  # type: ignore[misc]  # untyped
    """The WebSocket of one peer. It counts as a pending connection until the route calls `trust` or the connection is
    lost.
    """

    def __init__(
        self,
        pending: PendingConnections,
        close_s: float,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
    ) -> None:
        self._offer = _Offer()
        super().__init__(
            None,  # host and port, path: of a client
            None,
            False,  # client side
            self._offer,
            _wire_log,
            True,  # disconnect if one of the callbacks below fails
            None,  # handshake timeout: the request is complete
            False,  # automatic pings, idle and reply timeout, strategy
            0,
            0,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            False,  # automatic pongs: they would fill the memory for a peer that pings and does not read
            LARGEST_MESSAGE_BYTES,
            None,  # headers: of a client
            READ_BYTES,
        )
        self._pending = pending
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._state = HandshakeState.CONNECTING
        self._socket = DirectSocket(pending.leave, close_s)
        self._key: bytes | None = None
        """`Sec-WebSocket-Key` of the request; None until the request has arrived."""
        self._early = b""
        """Frames that arrived with the request."""
        self._is_announced = False
        self._messages: AsgiMessages | None = None
        self._denial = Response()
        """Response of the application that rejects the connection."""
        self._lost = asyncio.Event()

    # -- of asyncio
    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        transport.pause_reading()
        self._server_state.connections.add(self)
        self._pending.enter(self.transport, source_of(transport.get_extra_info("peername")), transport.abort)

    def connection_lost(self, error: Exception | None) -> None:
        self._pending.leave(self.transport)
        self._server_state.connections.discard(self)
        super().connection_lost(error)
        self._state = HandshakeState.ENDED
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        """Receive the request, then frames that arrived with it. Called only by uvicorn's HTTP protocol."""
        if self._key is not None:
            self._early += data
            return
        request = UpgradeRequest.parse(data)
        self._key = request.key
        if (refusal := request.refusal()) is not None:
            self._respond(refusal)
            return
        task = asyncio.create_task(self._run(self._scope(request)))
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    # -- of uvicorn
    def shutdown(self) -> None:
        if self._state is HandshakeState.OPEN:
            self._socket.close(GOING_AWAY, "the gateway is shutting down")
        else:
            self._respond(_GOING_AWAY)

    # -- ASGI
    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._config.loaded_app(scope, self._receive, self._send)
        except ClientDisconnected:
            pass
        except Exception:
            # A failure of one socket must not affect the others.
            log.exception("media socket failed")
            self._socket.close(INTERNAL)
        finally:
            if self._state is HandshakeState.OPEN:
                self._socket.close(NORMAL)
            else:
                self._respond(FAILED)

    def _scope(self, request: UpgradeRequest) -> dict[str, Any]:
        config, transport = self._config, self.transport.underlying_transport
        raw_path, _, query = request.target.partition(b"?")
        return {
            "type": "websocket",
            "asgi": {"version": config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(transport) else "ws",
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
            "root_path": config.root_path,
            "path": config.root_path + unquote(raw_path.decode("ascii")),
            "raw_path": config.root_path.encode() + raw_path,
            "query_string": query,
            "headers": request.headers,
            "subprotocols": [value.decode("latin-1") for value in request.values(b"sec-websocket-protocol")],
            "state": self._app_state.copy(),
            "extensions": {"websocket.http.response": {}, EXTENSION: {"socket": self._socket}},
        }

    async def _receive(self) -> dict[str, Any]:
        if not self._is_announced:
            self._is_announced = True
            return {"type": "websocket.connect"}
        if self._messages is None and self._state is HandshakeState.OPEN:
            self._messages = AsgiMessages(self._socket)
        if self._messages is not None:
            return await self._messages.receive()
        await self._lost.wait()
        return {"type": "websocket.disconnect", "code": ABRUPT}

    async def _send(self, message: dict[str, Any]) -> None:
        if self._lost.is_set():
            raise ClientDisconnected
        step = _STEPS.get((self._state, message["type"]))
        if step is None:
            raise RuntimeError(f"unexpected ASGI message {message['type']!r} in state {self._state.value!r}")
        if message["type"] == "websocket.send":
            self._messages = self._messages or AsgiMessages(self._socket)
            await self._messages.writable()
        step(self, message)

    def _accept(self, message: dict[str, Any]) -> None:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ())]
        if subprotocol := message.get("subprotocol"):
            headers.append(("Sec-WebSocket-Protocol", subprotocol))
        self._offer.accept(headers, self._socket)
        self._state = HandshakeState.OPEN
        # picows gets a request of its own, for which it sends the 101 response.
        self._feed(_PICOWS_REQUEST % self._key)
        early, self._early = self._early, b""
        self._feed(early)

    def _send_message(self, message: dict[str, Any]) -> None:
        if (text := message.get("text")) is not None:
            self._socket.send(text.encode())
        else:
            self._socket.send_binary(message["bytes"])

    def _close(self, message: dict[str, Any]) -> None:
        self._socket.close(message.get("code", NORMAL), message.get("reason") or "")

    def _deny(self, _: dict[str, Any]) -> None:
        self._respond(_FORBIDDEN)

    def _begin_response(self, message: dict[str, Any]) -> None:
        self._denial.status_code = message["status"]
        self._denial.raw_headers = list(message.get("headers", ()))
        self._state = HandshakeState.RESPONDING

    def _continue_response(self, message: dict[str, Any]) -> None:
        self._denial.body = bytes(self._denial.body) + message.get("body", b"")
        if not message.get("more_body", False):
            self._respond(self._denial)

    # -- bytes
    def _respond(self, response: Response) -> None:
        """Send an HTTP response instead of 101 and close the connection."""
        if self._state in (HandshakeState.CONNECTING, HandshakeState.RESPONDING):
            self._state = HandshakeState.ENDED
            self.transport.underlying_transport.write(encode_response(response))
            self.transport.underlying_transport.close()

    def _feed(self, data: bytes) -> None:
        """Pass data to picows as if it had read it."""
        view = memoryview(data)
        while view and not self.transport.underlying_transport.is_closing():
            room = self.get_buffer(-1)
            count = min(len(room), len(view))
            room[:count] = view[:count]
            self.buffer_updated(count)
            view = view[count:]


_PICOWS_REQUEST: Final = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n"
)
_STEPS: Final[dict[tuple[HandshakeState, str], Callable[[PicowsProtocol, dict[str, Any]], None]]] = {
    (HandshakeState.CONNECTING, "websocket.accept"): PicowsProtocol._accept,
    (HandshakeState.CONNECTING, "websocket.close"): PicowsProtocol._deny,
    (HandshakeState.CONNECTING, "websocket.http.response.start"): PicowsProtocol._begin_response,
    (HandshakeState.RESPONDING, "websocket.http.response.body"): PicowsProtocol._continue_response,
    (HandshakeState.OPEN, "websocket.send"): PicowsProtocol._send_message,
    (HandshakeState.OPEN, "websocket.close"): PicowsProtocol._close,
}


class _Offer:
    """Callback with which picows requests the response to a handshake. Separate from the protocol, to avoid a reference
    cycle.
    """

    def __init__(self) -> None:
        self._response: WSUpgradeResponseWithListener | None = None

    def accept(self, headers: list[tuple[str, str]], socket: DirectSocket) -> None:
        self._response = WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), socket)

    def __call__(self, _: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        response, self._response = self._response, None
        assert response is not None
        return response


class _WireLog(logging.LoggerAdapter[logging.Logger]):
    """Adapter that prevents picows from creating a logger for each connection, which it does unless it
    gets an adapter.
    """


def _is_our_fault(record: logging.LogRecord) -> bool:
    """Whether to log a line of picows. Invalid frames are errors of the peer, which must not flood the log."""
    return not str(record.msg).startswith("WS parser error")


_wire_log: Final = _WireLog(logging.getLogger(f"{__name__}.wire"), {})
_wire_log.logger.setLevel(logging.ERROR)  # below this level it logs every connection
_wire_log.logger.addFilter(_is_our_fault)


def picows_protocol(pending: PendingConnections, close_s: float) -> Callable[..., PicowsProtocol]:
    """Return a factory for uvicorn's option `ws`."""

    def make(config: Config, server_state: ServerState, app_state: dict[str, Any]) -> PicowsProtocol:
        return PicowsProtocol(pending, close_s, config, server_state, app_state)

    return make
