"""The driver's connections: nothing that comes back is looked at, it is only counted."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from typing import Final, cast

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from bench import recorded

_ROOM: Final = memoryview(bytearray(256 * 1024))
"""Where everything that is thrown away is read into, by all connections."""
_WRITE_S: Final = 0.001
"""Appends of so long leave in one write, about as many as a service finds together in a turn of its loop."""
_ERROR: Final = b"\r\n-"
_SWITCHED: Final = b"HTTP/1.1 101"
_BUFFER_BYTES: Final = 4 * 1024 * 1024


class MediaPeer(asyncio.BufferedProtocol):
    """ACS's end of one media socket."""

    def __init__(self, path: str, host: str) -> None:
        loop = asyncio.get_running_loop()
        self.open: asyncio.Future[None] = loop.create_future()
        self.heard_bytes = 0
        self.lost = False
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
        ).encode()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _ROOM

    def buffer_updated(self, nbytes: int) -> None:
        if self.open.done():
            self.heard_bytes += nbytes
        elif bytes(_ROOM[: len(_SWITCHED)]) == _SWITCHED:
            self.open.set_result(None)
        else:
            self.open.set_exception(ConnectionError(bytes(_ROOM[: min(nbytes, 80)]).decode(errors="replace")))

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if not self.open.done():
            self.open.set_exception(ConnectionError("the gateway closed the socket"))

    def send(self, frame: bytes) -> None:
        if self._transport is not None and not self.lost:
            self._transport.write(frame)


class RedisPeer(asyncio.BufferedProtocol):
    """Appends, gathered for a moment; of the replies only refusals matter."""

    def __init__(self) -> None:
        self.appended = 0
        self.refusal = ""
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_BUFFER_BYTES)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _ROOM

    def buffer_updated(self, nbytes: int) -> None:
        replies = bytes(_ROOM[:nbytes])
        if _ERROR in replies and not self.refusal:
            self.refusal = replies[replies.find(_ERROR) :][:120].decode(errors="replace").strip()

    def connection_lost(self, error: Exception | None) -> None:
        self.refusal = self.refusal or "the connection to Redis was lost"
        self._transport = None

    def append(self, command: bytes) -> None:
        self._waiting.append(command)
        if len(self._waiting) == 1:
            self._loop.call_later(_WRITE_S, self._write)

    def _write(self) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(self._waiting))
            self.appended += len(self._waiting)
        self._waiting.clear()


class VoicePeer(WSListener):
    """Voice Live's end of one voice socket: sets the session up, then speaks what it is told to."""

    def __init__(self, on_ready: Callable[[VoicePeer], None]) -> None:
        self.appends = 0
        self.lost = False
        self._on_ready = on_ready
        self._ready = False
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transport.send(WSMsgType.TEXT, recorded.session_event("session.created"))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._ready:
            self.appends += 1
        elif b'"session.update"' in frame.get_payload_as_bytes():
            self._ready = True
            transport.send(WSMsgType.TEXT, recorded.session_event("session.updated"))
            transport.send(WSMsgType.TEXT, recorded.response_created())
            self._on_ready(self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.lost = True

    def send(self, delta: bytes) -> None:
        if self._transport is not None and not self.lost:
            self._transport.send(WSMsgType.TEXT, delta)


async def serve_voice(port: int, on_ready: Callable[[VoicePeer], None]) -> asyncio.Server:
    def answer(_: WSUpgradeRequest) -> VoicePeer:
        return VoicePeer(on_ready)

    return await ws_create_server(answer, "127.0.0.1", port)
