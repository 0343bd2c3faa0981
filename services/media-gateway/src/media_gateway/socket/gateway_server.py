"""The gateway's port: uvicorn, with connections that are read in small pieces and frames that are parsed in C."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Final

import aiofastnet

from bridge_common.service.http_connection import HttpConnection
from bridge_common.service.settings import ServiceSettings
from bridge_common.service.web_server import ProtocolFactory, ServerOptions, Web, WebServer
from media_gateway.socket.picows_protocol import picows_protocol

# Not Final where a test lowers it.
HEAD_S = 4.0
"""Time for a request head to arrive whole. ACS gives up on a handshake after about a second."""
SEND_BUFFER_BYTES = 128 * 1024
"""The kernel's send buffer of each socket: seconds of audio. Its default would hide for minutes that a peer does not
read."""
RECEIVE_BUFFER_BYTES: Final = 128 * 1024
"""The kernel's receive buffer of each socket. It limits the memory that a flood takes."""
READ_BYTES: Final = 8192
"""Limit for a request and the frames that arrive with it: no more is read before the route has decided."""
_BACKLOG: Final = 2048
"""Connections that wait in the kernel until they are accepted."""
_ACCEPTS_AT_ONCE: Final = 4
"""Between two looks at the sockets of running calls."""

_read_buffer: Final = memoryview(bytearray(READ_BYTES))
"""One for all connections: it is emptied before the next one reads."""


class GatewayConnection(HttpConnection):
    """For transports of aiofastnet, which otherwise read up to 256 KB at once."""

    @property
    def head_s(self) -> float:
        return HEAD_S

    def is_buffered_protocol(self) -> bool:
        return True

    def get_buffer(self, size_hint: int) -> memoryview:
        return _read_buffer

    def buffer_updated(self, read_bytes: int) -> None:
        self.data_received(bytes(_read_buffer[:read_bytes]))


def gateway_server(
    web: Web,
    settings: ServiceSettings,
    *,
    ws: str = "",
    tls: ssl.SSLContext | None = None,
    readiness: Callable[[], Mapping[str, object]] = dict,
) -> WebServer:
    """`ws`: a WebSocket implementation of uvicorn in place of our own."""
    options = ServerOptions(
        ws=lambda pending: ws or picows_protocol(pending),
        connection=GatewayConnection,
        receive_buffer_bytes=RECEIVE_BUFFER_BYTES,
        send_buffer_bytes=SEND_BUFFER_BYTES,
        listen=_listen,
        tls=tls,
        readiness=readiness,
    )
    return WebServer(web, settings, options)


async def _listen(
    new_connection: ProtocolFactory, bound: socket.socket, tls: ssl.SSLContext | None
) -> asyncio.AbstractServer:
    server = await aiofastnet.create_server(
        asyncio.get_running_loop(),
        new_connection,
        sock=bound,
        backlog=_ACCEPTS_AT_ONCE - 1,  # it accepts one more than this at once
        ssl=tls,
    )
    bound.listen(_BACKLOG)
    return server
