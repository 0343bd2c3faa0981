"""The gateway's server with recording sockets, and a client that sends raw frames, including invalid ones."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from bridge_common.service.background_tasks import BackgroundTasks
from bridge_common.service.readiness import Readiness
from bridge_common.service.settings import ServiceSettings
from bridge_common.service.web_server import WebServer
from media_gateway.socket.frame_socket import FrameSocket
from media_gateway.socket.gateway_server import gateway_server
from media_gateway.socket.message_socket import accepted
from media_gateway.socket_context import SocketLimits
from tests.support.eventually import eventually

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA
FIN = 0x80


@dataclass
class Heard:
    """A receiver that records all messages and echoes text."""

    socket: FrameSocket
    path: str
    headers: Headers
    texts: list[bytes] = field(default_factory=list)
    binaries: int = 0
    overheads: int = 0
    pauses: list[bool] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def text(self, message: memoryview) -> None:
        self.texts.append(bytes(message))
        if self.texts[-1] == b"break":
            raise RuntimeError("the receiver failed")
        if self.texts[-1] == b"stop":
            self.socket.stop()
        self.socket.send(self.texts[-1])

    def binary(self, message: memoryview) -> None:
        self.binaries += 1

    def overhead(self) -> None:
        self.overheads += 1

    def paused(self, paused: bool) -> None:
        self.pauses.append(paused)

    def closed(self, code: int) -> None:
        self.codes.append(code)
        self.gone.set()


class Echoes:
    """A service with routes that echo messages, received by callback or as plain ASGI messages."""

    def __init__(self, close_s: float) -> None:
        self._close_s = close_s
        self.draining = False
        self.parts = BackgroundTasks()
        self.port = 0
        self.server: WebServer
        self.sockets: list[Heard] = []
        self.gate = asyncio.Event()
        """While it is cleared, new sockets do not process messages."""
        self.gate.set()
        self.alive = True
        self.waiting = 0
        """Number of peers that the route of `/waits` has neither accepted nor rejected."""

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/"

    def routes(self) -> Sequence[BaseRoute]:
        return [
            WebSocketRoute("/ws/{path:path}", self._serve),
            WebSocketRoute("/messages", self._messages),
            WebSocketRoute("/refused", self._refused),
            WebSocketRoute("/denied", self._denied),
            WebSocketRoute("/undecided", self._undecided),
            WebSocketRoute("/waits", self._waits),
            WebSocketRoute("/subprotocol", self._subprotocol),
            Route("/page", self._page),
            Route("/broken", self._broken),
        ]

    async def ready(self) -> Readiness:
        return Readiness()

    async def _serve(self, websocket: WebSocket) -> None:
        async with accepted(websocket, self._close_s) as socket:
            heard = Heard(socket, websocket.path_params["path"], websocket.headers)
            self.sockets.append(heard)
            await self.gate.wait()
            if heard.path == "refused":
                socket.close(1008, "not you")
                return
            if heard.path == "broken":
                raise RuntimeError("the route failed")
            socket.listen(heard)
            await heard.gone.wait()

    async def _messages(self, websocket: WebSocket) -> None:
        await websocket.accept()
        while (message := await websocket.receive())["type"] == "websocket.receive":
            if message.get("text") == "close":
                await websocket.close(4000, "as you like")
                return
            await websocket.send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})

    async def _refused(self, websocket: WebSocket) -> None:
        await websocket.close()

    async def _denied(self, websocket: WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("pay first", 402, {"x-price": "1"}))

    async def _undecided(self, websocket: WebSocket) -> None: ...

    async def _waits(self, websocket: WebSocket) -> None:
        assert (await websocket.receive())["type"] == "websocket.connect"
        self.waiting += 1
        assert (await websocket.receive())["type"] == "websocket.disconnect"
        self.waiting -= 1

    async def _subprotocol(self, websocket: WebSocket) -> None:
        await websocket.accept(websocket.scope["subprotocols"][-1], [(b"x-leg", b"1")])
        await websocket.send_json([websocket.url.path, websocket.url.query, websocket.url.scheme])
        await websocket.close()

    async def _page(self, _: Request) -> Response:
        return PlainTextResponse("alive" if self.alive else "dead", 200 if self.alive else 503)

    async def _broken(self, _: Request) -> Response:
        raise RuntimeError("a secret of the page")


@asynccontextmanager
async def running_echoes(
    tls: ssl.SSLContext | None = None, ws: str = "", limits: SocketLimits | None = None, **settings_: int
) -> AsyncIterator[Echoes]:
    """Run the service. `ws`: a WebSocket implementation of uvicorn, to be used instead of the gateway's own."""
    limits = limits or SocketLimits()
    echoes = Echoes(limits.close_s)
    settings = ServiceSettings.model_validate({"redis_url": "redis://127.0.0.1:1/0", "port": 0, **settings_})
    server = echoes.server = gateway_server(echoes, settings, ws=ws, limits=limits, tls=tls)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        echoes.port = bound.getsockname()[1]
        await server.open(bound)
        try:
            yield echoes
        finally:
            await server.close()


async def fill(heard: Heard) -> int:
    """Send to a peer that does not read, until the writer is paused permanently. Return the number of messages."""
    sent = 0

    def is_full() -> bool:
        nonlocal sent
        before = sent
        while not heard.pauses or not heard.pauses[-1]:
            heard.socket.send(b"x" * 1000)
            sent += 1
        return sent == before

    await eventually(is_full, every_s=0.05)
    return sent


async def drained(writer: asyncio.StreamWriter, within_s: float) -> bool:
    """Whether the server has read all that was written before the timeout."""
    try:
        async with asyncio.timeout(within_s):
            await writer.drain()
    except TimeoutError:
        return False
    return True


class RawPeer:
    """One TCP connection, read and written as bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(
        self, path: str = "/ws/x", connection: str = "Upgrade", *frames: bytes, headers: str = ""
    ) -> bytes:
        """Request a WebSocket, with frames in the same write. Return the head of the response."""
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: {connection}\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{headers}\r\n"
        )
        self.writer.write(head.encode() + b"".join(frames))
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)

    def send(self, opcode: int, payload: bytes = b"", *, masked: bool = True) -> None:
        self.writer.write(frame(opcode, payload, masked=masked))

    async def receive(self) -> tuple[int, bytes]:
        """Return the first byte and the payload of the next frame."""
        async with asyncio.timeout(5):
            first, length = await self.reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first, await self.reader.readexactly(length)

    async def closed_with(self) -> int:
        """Return the code of the close frame. Frames before it are ignored."""
        while True:
            first, payload = await self.receive()
            if first == FIN | CLOSE:
                return int.from_bytes(payload[:2], "big")

    def reads(self, reads: bool) -> None:
        transport = cast(asyncio.Transport, self.writer.transport)
        (transport.resume_reading if reads else transport.pause_reading)()

    async def ended(self, within_s: float = 5.0) -> bool:
        """Whether the server closes the connection before the timeout. Remaining data is ignored."""
        try:
            async with asyncio.timeout(within_s):
                while await self.reader.read(65536):
                    pass
        except TimeoutError:
            return False
        except ConnectionResetError:
            pass
        return True


def frame(opcode: int, payload: bytes = b"", *, masked: bool = True) -> bytes:
    """Encode a frame. `opcode` is the whole first byte, without FIN for a fragment."""
    mask = os.urandom(4) if masked else b""
    flag = 0x80 if masked else 0
    if len(payload) < 126:
        head = bytes([opcode, flag | len(payload)])
    elif len(payload) < 65536:
        head = bytes([opcode, flag | 126]) + struct.pack("!H", len(payload))
    else:
        head = bytes([opcode, flag | 127]) + struct.pack("!Q", len(payload))
    if masked:
        repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")
    return head + mask + payload


@asynccontextmanager
async def raw_peer(port: int, *, receives_bytes: int = 0) -> AsyncIterator[RawPeer]:
    """Connect a peer. `receives_bytes`: fixed size of the kernel's receive buffer."""
    connection = socket.socket()
    connection.setblocking(False)
    if receives_bytes:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives_bytes)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=connection)
    try:
        yield RawPeer(reader, writer)
    finally:
        writer.transport.abort()
