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

from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

from bridge_common.error_body import FAILED, NO_SUCH_PATH, error_answer
from bridge_common.log import fields
from bridge_common.probes import Answer
from media_gateway.web_socket import LARGEST_MESSAGE_BYTES, WebSocket

log = logging.getLogger(__name__)

GOING_AWAY: Final = 1001
INTERNAL: Final = 1011
HANDSHAKE_S: Final = 4.0
"""Time for a request to come whole."""
SEND_BUFFER_BYTES: Final = 128 * 1024
"""Of the kernel, for each socket: seconds of audio. Its default would hide a peer that does not read for minutes."""
_NO_UPGRADE: Final = error_answer(400, "bad_request", "this path takes WebSocket connections only")
_END_S: Final = 5.0
_BACKLOG: Final = 2048

Serve: TypeAlias = Callable[[WebSocket], Awaitable[None]]
Page: TypeAlias = Callable[[], Answer]
_Response: TypeAlias = WebSocket | WSUpgradeResponseWithListener


class SocketServer:
    """`serve` runs once for each WebSocket under `prefix`; when it returns, the socket is closed if it is not yet."""

    def __init__(self, prefix: str, serve: Serve, pages: Mapping[str, Page], tls: ssl.SSLContext | None = None) -> None:
        self._prefix = prefix
        self._serve = serve
        self._pages = pages
        self._tls = tls
        self._listening: asyncio.Server | None = None
        self._sockets: dict[WebSocket, asyncio.Task[None]] = {}

    async def open(self, bound: socket.socket) -> None:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        wire_log = logging.getLogger(f"{__name__}.wire")
        wire_log.setLevel(logging.ERROR)  # below that it tells of every connection, probes included
        self._listening = await ws_create_server(
            self._answer,
            sock=bound,
            backlog=_BACKLOG,
            ssl=self._tls,
            websocket_handshake_timeout=HANDSHAKE_S,
            max_frame_size=LARGEST_MESSAGE_BYTES,
            enable_auto_pong=False,
            logger_name=wire_log,
        )

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
            return WebSocket(path.removeprefix(self._prefix), request.headers, self._begin)
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


def _response(answer: Answer) -> WSUpgradeResponseWithListener:
    response = WSUpgradeResponse.create_ok_response(answer.body, {"Content-Type": answer.content_type})
    response.status = HTTPStatus(answer.status)
    return WSUpgradeResponseWithListener(response, None)
