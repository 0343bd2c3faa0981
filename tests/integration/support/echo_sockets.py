"""A socket server in a test: what its sockets heard, and a client that speaks raw frames where no library would."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from bridge_common.service.pending_connections import PendingConnections
from bridge_common.service.probes import ProbeResponse
from media_gateway.socket.socket_server import SocketServer
from media_gateway.socket.web_socket import WebSocket

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA
FIN = 0x80


@dataclass
class Heard:
    """A receiver that writes everything down, and echoes text."""

    websocket: WebSocket
    texts: list[bytes] = field(default_factory=list)
    binaries: int = 0
    overheads: int = 0
    pauses: list[bool] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def text(self, message: memoryview) -> None:
        self.texts.append(bytes(message))
        if self.texts[-1] == b"break":
            raise RuntimeError("the receiver broke")
        if self.texts[-1] == b"stop":
            self.websocket.stop()
        self.websocket.send(self.texts[-1])

    def binary(self) -> None:
        self.binaries += 1

    def overhead(self) -> None:
        self.overheads += 1

    def paused(self, paused: bool) -> None:
        self.pauses.append(paused)

    def closed(self, code: int) -> None:
        self.codes.append(code)
        self.gone.set()


@dataclass
class Echoes:
    url: str
    port: int
    server: SocketServer
    sockets: list[Heard] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Nobody listens to a new socket before it is set."""
    alive: bool = True

    async def serve(self, websocket: WebSocket) -> None:
        heard = Heard(websocket)
        self.sockets.append(heard)
        await self.gate.wait()
        if websocket.path == "refused":
            websocket.close(1008, "not you")
            return
        if websocket.path == "broken":
            raise RuntimeError("the one who serves broke")
        websocket.listen(heard)
        await heard.gone.wait()

    def page(self) -> ProbeResponse:
        return ProbeResponse(200 if self.alive else 503, b"alive" if self.alive else b"dead", "text/plain")

    def broken(self) -> ProbeResponse:
        raise RuntimeError("a secret of the page")


@asynccontextmanager
async def running_echoes(
    tls: ssl.SSLContext | None = None, pending: PendingConnections | None = None
) -> AsyncIterator[Echoes]:
    echoes: Echoes
    pages = {"/page": lambda: echoes.page(), "/broken": lambda: echoes.broken()}
    server = SocketServer(
        "/ws/",
        lambda websocket: echoes.serve(websocket),
        pages,
        PendingConnections(100) if pending is None else pending,
        tls,
    )
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        echoes = Echoes(f"ws://127.0.0.1:{port}/ws/", port, server)
        echoes.gate.set()
        await server.open(bound)
        try:
            yield echoes
        finally:
            await server.close()


class RawPeer:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self, path: str = "/ws/x", connection: str = "Upgrade", *frames: bytes) -> bytes:
        """Ask for a WebSocket, with frames in the same write; the head of the reply."""
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: {connection}\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        )
        self.writer.write(head.encode() + b"".join(frames))
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)

    def send(self, opcode: int, payload: bytes = b"", *, masked: bool = True) -> None:
        self.writer.write(frame(opcode, payload, masked=masked))

    async def receive(self) -> tuple[int, bytes]:
        """(first byte, payload) of the next frame."""
        async with asyncio.timeout(5):
            first, length = await self.reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first, await self.reader.readexactly(length)

    async def closed_with(self) -> int:
        """The code of the close frame; frames before it are passed over."""
        while True:
            first, payload = await self.receive()
            if first == FIN | CLOSE:
                return int.from_bytes(payload[:2], "big")

    def reads(self, reads: bool) -> None:
        transport = cast(asyncio.Transport, self.writer.transport)
        (transport.resume_reading if reads else transport.pause_reading)()

    async def ended(self, within_s: float = 5.0) -> bool:
        """Whether the server ends the connection in time; what it still sends is passed over."""
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
    """`opcode` is the whole first byte, without FIN for a fragment."""
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
    """`receives_bytes`: of the kernel's buffer; then it does not grow as it fills."""
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
