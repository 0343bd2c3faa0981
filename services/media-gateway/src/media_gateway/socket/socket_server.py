"""The gateway's port: media sockets and a few small pages, on picows instead of an ASGI server.

Everything of picows that the gateway knows is in this module and in `web_socket`. A request for a socket is answered
with 101 at once; whether its sender may have one is for `serve` to find out. Pages are GETs that need no waiting.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final, TypeAlias
from urllib.parse import unquote

import aiofastnet
from picows import WSAutoPingStrategy, WSTransport, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stub

from bridge_common.base.log import fields
from bridge_common.observability.telemetry import CONNECTIONS_DROPPED
from bridge_common.service.error_body import FAILED, NO_SUCH_PATH, error_answer
from bridge_common.service.pending_connections import PendingConnections, source_of
from bridge_common.service.probes import ProbeResponse
from media_gateway.socket.web_socket import LARGEST_MESSAGE_BYTES, WebSocket

log = logging.getLogger(__name__)

GOING_AWAY: Final = 1001
INTERNAL: Final = 1011
HANDSHAKE_S: Final = 4.0
"""Time for a request to come whole."""
SEND_BUFFER_BYTES: Final = 128 * 1024
"""Of the kernel, for each socket: seconds of audio. Its default would hide a peer that does not read for minutes."""
_NO_UPGRADE: Final = error_answer(400, "bad_request", "this path takes WebSocket connections only")
RECEIVE_BUFFER_BYTES: Final = 128 * 1024
"""The same for what comes. It bounds how much one read brings, and the memory that a flood takes."""
READ_BYTES: Final = 4096
"""First read of a connection: a request with ACS's token, or a few frames. picows doubles it when it was full."""
_END_S: Final = 5.0
_BACKLOG: Final = 2048
"""Connections that wait in the kernel until they are accepted."""
_ACCEPTS_AT_ONCE: Final = 4
"""Between two looks at the sockets of running calls."""

Serve: TypeAlias = Callable[[WebSocket], Awaitable[None]]
Page: TypeAlias = Callable[[], ProbeResponse]
_Response: TypeAlias = WebSocket | WSUpgradeResponseWithListener


class SocketServer:
    """`serve` runs once for each WebSocket under `prefix`; when it returns, the socket is closed if it is not yet."""

    def __init__(
        self,
        prefix: str,
        serve: Serve,
        pages: Mapping[str, Page],
        pending: PendingConnections,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._prefix = prefix
        self._serve = serve
        self._pages = pages
        self._pending = pending
        self._tls = tls
        self._listening: asyncio.AbstractServer | None = None
        self._sockets: dict[WebSocket, asyncio.Task[None]] = {}

    async def open(self, bound: socket.socket) -> None:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._listening = await aiofastnet.create_server(
            asyncio.get_running_loop(),
            lambda: _Connection(self._answer, self._pending),
            sock=bound,
            backlog=_ACCEPTS_AT_ONCE - 1,  # it accepts one more than this at once
            ssl=self._tls,
        )
        bound.listen(_BACKLOG)

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.close()
        for websocket in list(self._sockets):
            websocket.close(GOING_AWAY, "the gateway is going away")
        serving = list(self._sockets.values())
        if serving:
            _, late = await asyncio.wait(serving, timeout=_END_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _answer(self, request: WSUpgradeRequest) -> _Response:
        path = unquote(request.path.partition(b"?")[0].decode("ascii", "replace"))
        if path.startswith(self._prefix):
            if request.headers.get("Upgrade", "").lower() != "websocket":
                return _response(_NO_UPGRADE)
            if "upgrade" in (token.strip().lower() for token in request.headers.get("Connection", "").split(",")):
                request.headers["Connection"] = "upgrade"  # picows knows no list of tokens, as proxies send it
            return WebSocket(path.removeprefix(self._prefix), request.headers, self._begin, self._pending.leave)
        page = self._pages.get(path)
        try:
            return _response(NO_SUCH_PATH if page is None else page())
        except Exception:
            log.exception("page failed", extra=fields(path=path))
            return _response(FAILED)

    def _begin(self, websocket: WebSocket) -> None:
        task = asyncio.create_task(self._serve_to_the_end(websocket))
        self._sockets[websocket] = task
        task.add_done_callback(lambda _: self._sockets.pop(websocket))

    async def _serve_to_the_end(self, websocket: WebSocket) -> None:
        try:
            await self._serve(websocket)
        except Exception:
            # One socket's fault must not reach the others.
            log.exception("media socket failed")
            websocket.close(INTERNAL)
        finally:
            websocket.close()
        await websocket.wait_gone()


class _Connection(WSProtocol):  # type: ignore[misc]  # untyped
    """One connection of picows, which counts as pending until its peer is trusted."""

    def __init__(self, answer: Callable[[WSUpgradeRequest], _Response], pending: PendingConnections) -> None:
        super().__init__(
            None,  # host and port, path: of a client
            None,
            False,  # client side
            answer,
            _wire_log,
            True,  # disconnect when a callback of ours fails
            HANDSHAKE_S,
            False,  # pings of its own, idle and reply time-out, strategy
            0,
            0,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            False,  # pongs of its own
            LARGEST_MESSAGE_BYTES,
            None,  # headers: of a client
            READ_BYTES,
        )
        self._pending = pending

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        whole: WSTransport = self.transport
        self._pending.enter(whole, source_of(transport.get_extra_info("peername")), transport.abort)

    def connection_lost(self, error: Exception | None) -> None:
        self._pending.leave(self.transport)
        super().connection_lost(error)

    def _handshake_timeout_callback(self) -> None:
        """picows would wait until the peer has read what was sent."""
        CONNECTIONS_DROPPED.labels("slow").inc()
        self.transport.disconnect(graceful=False)


class _WireLog(logging.LoggerAdapter[logging.Logger]):
    """picows makes a logger for each connection unless it is given something else than a logger."""


def _is_our_fault(record: logging.LogRecord) -> bool:
    """What a peer sends is no error of ours, and a flood of it must not become a flood of lines."""
    return not str(record.msg).startswith("WS parser error")


_wire_log: Final = _WireLog(logging.getLogger(f"{__name__}.wire"), {})
_wire_log.logger.setLevel(logging.ERROR)  # below that it logs every connection, probes included
_wire_log.logger.addFilter(_is_our_fault)


def _response(answer: ProbeResponse) -> WSUpgradeResponseWithListener:
    response = WSUpgradeResponse.create_ok_response(answer.body, {"Content-Type": answer.content_type})
    response.status = HTTPStatus(answer.status)
    return WSUpgradeResponseWithListener(response, None)
