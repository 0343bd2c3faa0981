"""A WebSocket client for media: the sans-I/O protocol of `websockets` on an asyncio transport.

Unlike `websockets.connect` it needs no task for each connection, sends without waiting, and can abort the connection
without a close frame. The shared frame clock and the injected faults require this. Whole text messages bypass the
protocol object, which would cost more than all other work for a frame.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from lab.text_frames import FrameSplitter, encode_client_text

MAX_BACKLOG_BYTES = 1 << 20
"""If the peer does not read, the connection is aborted at this number of unsent bytes (about 20 s of audio)."""
_CLOSE_WAIT_S = 1.0

OnText = Callable[[bytes, float], None]
OnClosed = Callable[[int], None]


class SocketRefusedError(Exception):
    """The media socket could not be opened: no connection, no upgrade, or a timeout."""


class MediaSocketClient(asyncio.Protocol):
    """A client connection. Calls `on_text(message, monotonic time)` for each complete message, and `on_closed(code)`
    once after a successful upgrade; the code is 1006 if there was no close frame.
    """

    def __init__(self, protocol: ClientProtocol, headers: Mapping[str, str], on_text: OnText, on_closed: OnClosed):
        self._protocol = protocol
        self._headers = headers
        self._on_text = on_text
        self._on_closed = on_closed
        self._transport: asyncio.Transport | None = None
        self._fragments: list[bytes] = []
        self._frames: FrameSplitter | None = None
        """True when the library has no partial frame. From then on, complete text messages bypass the library."""
        loop = asyncio.get_running_loop()
        self._upgraded: asyncio.Future[None] = loop.create_future()
        self._lost: asyncio.Future[None] = loop.create_future()

    @property
    def is_open(self) -> bool:
        return self._protocol.state is State.OPEN

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport is not a subclass
        request = self._protocol.connect()
        for name, value in self._headers.items():
            request.headers[name] = value
        self._protocol.send_request(request)
        self._write()

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if self._frames is None:
            self._receive(data, now)
            if self.is_open and not self._protocol.reader.buffer:
                self._frames = FrameSplitter(MAX_BACKLOG_BYTES)
            return
        for frame in self._frames.feed(data):
            if frame.text is None or self._fragments or not self.is_open:
                self._receive(frame.raw, now)
            else:
                self._on_text(frame.text, now)

    def _receive(self, data: bytes, now: float) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._finish_handshake()
            elif isinstance(event, Frame):
                self._take(event, now)
        if self._protocol.handshake_exc is not None:
            self._finish_handshake()
        self._write()
        if self._protocol.close_expected() and self._transport is not None:
            asyncio.get_running_loop().call_later(_CLOSE_WAIT_S, self._transport.abort)

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._protocol.state is not State.CLOSED:
            self._protocol.receive_eof()
        if not self._upgraded.done():
            self._upgraded.set_exception(SocketRefusedError("the connection was closed before the upgrade"))
        elif self._upgraded.exception() is None:
            self._on_closed(self._protocol.close_code or 1006)
        if not self._lost.done():
            self._lost.set_result(None)

    def send_text(self, message: bytes) -> bool:
        """Send one message without waiting; `False` if the socket is not open or the peer has stopped reading."""
        transport = self._transport
        if transport is None or self._protocol.state is not State.OPEN:
            return False
        if transport.get_write_buffer_size() > MAX_BACKLOG_BYTES:
            transport.abort()
            return False
        transport.write(encode_client_text(message))
        return True

    def send_binary(self, message: bytes) -> None:
        if self.is_open:
            self._protocol.send_binary(message)
            self._write()

    async def close(self, code: int) -> None:
        """Close with `code` and wait until the connection is closed, at most a second."""
        if self.is_open:
            self._protocol.send_close(code)
            self._write()
        try:
            async with asyncio.timeout(_CLOSE_WAIT_S):
                await asyncio.shield(self._lost)
        except TimeoutError:
            self.cut()

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def upgraded(self) -> None:
        await asyncio.shield(self._upgraded)

    def _finish_handshake(self) -> None:
        if self._upgraded.done():
            return
        if self._protocol.handshake_exc is None:
            self._upgraded.set_result(None)
        else:
            self._upgraded.set_exception(SocketRefusedError(str(self._protocol.handshake_exc)))

    def _take(self, frame: Frame, now: float) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.fin and not self._fragments:
            self._on_text(bytes(frame.data), now)
            return
        self._fragments.append(bytes(frame.data))
        if frame.fin:
            message = b"".join(self._fragments)
            self._fragments.clear()
            self._on_text(message, now)

    def _write(self) -> None:
        if self._transport is None:
            return
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()


async def open_media_socket(
    url: str, headers: Mapping[str, str], on_text: OnText, on_closed: OnClosed, timeout_s: float
) -> MediaSocketClient:
    """Connect and upgrade within `timeout_s`. Raises `SocketRefusedError` with the reason."""
    loop = asyncio.get_running_loop()
    socket: MediaSocketClient | None = None
    try:
        uri = parse_uri(url)
        async with asyncio.timeout(timeout_s):
            _, socket = await loop.create_connection(
                lambda: MediaSocketClient(ClientProtocol(uri, max_size=MAX_BACKLOG_BYTES), headers, on_text, on_closed),
                uri.host,
                uri.port,
                ssl=ssl.create_default_context() if uri.secure else None,
            )
            await socket.upgraded()
    except TimeoutError:
        reason = f"the upgrade was not complete within {timeout_s} s"
    except (OSError, ValueError, WebSocketException, SocketRefusedError) as error:
        reason = str(error) or type(error).__name__
    else:
        return socket
    if socket is not None:
        socket.cut()
    raise SocketRefusedError(reason)
