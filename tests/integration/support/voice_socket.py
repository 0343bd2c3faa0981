"""The two ends of a voice socket: a listener that records messages, and a service that sends bytes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from agent_relay.voice.voice_live_client import SocketClosedError, VoiceSocket
from tests.support.eventually import eventually

_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Ear:
    messages: list[bytes] = field(default_factory=list)
    lost: SocketClosedError | None = None
    writable_again: int = 0

    def on_message(self, message: memoryview | bytes) -> None:
        self.messages.append(bytes(message))

    def on_writable(self) -> None:
        self.writable_again += 1

    def on_lost(self, why: SocketClosedError) -> None:
        assert self.lost is None, "on_lost was called twice"
        self.lost = why

    async def until_lost(self) -> SocketClosedError:
        await eventually(lambda: self.lost is not None, what="the socket is lost")
        assert self.lost is not None
        return self.lost

    async def until_heard(self, count: int = 1) -> list[bytes]:
        await eventually(lambda: len(self.messages) >= count, what=f"{count} messages")
        return self.messages


def listening(socket: VoiceSocket) -> Ear:
    ear = Ear()
    socket.listen(ear)
    return ear


class RawService(asyncio.Protocol):
    """One connection to a client, written as bytes. `answers`: accept the handshake."""

    def __init__(self, *, answers: bool) -> None:
        self.url = ""
        self.received = bytearray()
        self.gone = False
        self._answers = answers
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's class is not a subclass

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self._answers and b"\r\n\r\n" in self.received:
            self._answers = False
            key = re.search(rb"Sec-WebSocket-Key: (\S+)", self.received)
            assert key is not None
            accept = base64.b64encode(hashlib.sha1(key.group(1) + _ACCEPT).digest())
            self.send(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
            self.received.clear()

    def connection_lost(self, error: Exception | None) -> None:
        self.gone = True

    def send(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def until_close_frame(self) -> int:
        """Return the code of the client's close frame, which must be its first frame."""
        await eventually(lambda: len(self.received) >= 8, what="a close frame")
        assert self.received[0] == 0x88
        mask = self.received[2:6]
        return (self.received[6] ^ mask[0]) << 8 | (self.received[7] ^ mask[1])


@contextlib.asynccontextmanager
async def raw_service(*, answers: bool = True) -> AsyncIterator[RawService]:
    service = RawService(answers=answers)
    async with await asyncio.get_running_loop().create_server(lambda: service, "127.0.0.1", 0) as server:
        service.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            yield service
        finally:
            service.abort()
