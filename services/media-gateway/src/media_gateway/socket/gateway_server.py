"""The HTTP server of the gateway: uvicorn with small reads and a WebSocket protocol that parses frames in C."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Final

import aiofastnet

from bridge_common.service.http_connection import HttpConnection, HttpTiming
from bridge_common.service.settings import ServiceSettings
from bridge_common.service.web_server import ProtocolFactory, ServerOptions, Web, WebServer
from media_gateway.socket.picows_protocol import picows_protocol
from media_gateway.socket_context import SocketLimits

RECEIVE_BUFFER_BYTES: Final = 128 * 1024
"""Size of the kernel's receive buffer of each socket. It limits the memory that a flood can use."""
READ_BYTES: Final = 8192
"""Maximum bytes of a request and of the frames that arrive with it: no more is read before the route
has accepted it.
"""
_BACKLOG: Final = 2048
"""Maximum connections that wait in the kernel to be accepted."""
_ACCEPTS_AT_ONCE: Final = 4
"""Maximum connections accepted in one iteration of the event loop, so that running calls are not delayed."""

_read_buffer: Final = memoryview(bytearray(READ_BYTES))
"""Read buffer of all connections: each one consumes its data before the next one reads."""


class GatewayConnection(HttpConnection):
    """HTTP connection for transports of aiofastnet, which would otherwise read up to 256 KB at once."""

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
    limits: SocketLimits | None = None,
    tls: ssl.SSLContext | None = None,
    readiness: Callable[[], Mapping[str, object]] = dict,
) -> WebServer:
    """Create the server. `ws`: a WebSocket implementation of uvicorn, instead of the gateway's own."""
    limits = limits or SocketLimits()
    options = ServerOptions(
        ws=lambda pending: ws or picows_protocol(pending, limits.close_s),
        connection=GatewayConnection,
        timing=HttpTiming(head_s=limits.head_s),
        receive_buffer_bytes=RECEIVE_BUFFER_BYTES,
        send_buffer_bytes=limits.send_buffer_bytes,
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
        backlog=_ACCEPTS_AT_ONCE - 1,  # aiofastnet accepts one more than this at once
        ssl=tls,
    )
    bound.listen(_BACKLOG)
    return server
