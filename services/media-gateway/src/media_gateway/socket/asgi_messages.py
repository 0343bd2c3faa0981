"""Frames of a `DirectSocket` as messages, for a route that uses plain ASGI."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from media_gateway.socket.direct_socket import DirectSocket
from media_gateway.socket.frame_socket import INVALID_TEXT


class AsgiMessages:
    """A `Receiver` with a queue. Reading pauses while messages wait, so the queue contains at most the messages of one
    read.
    """

    def __init__(self, socket: DirectSocket) -> None:
        self._socket = socket
        self._waiting: deque[dict[str, Any]] = deque()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        if not socket.is_paused:
            self._writable.set()
        socket.listen(self)

    async def receive(self) -> dict[str, Any]:
        while not self._waiting:
            self._arrived.clear()
            self._socket.read(True)
            await self._arrived.wait()
        return self._waiting.popleft()

    async def writable(self) -> None:
        await self._writable.wait()

    # -- `Receiver`
    def text(self, message: memoryview) -> None:
        try:
            self._put({"type": "websocket.receive", "text": str(message, "utf-8")})
        except UnicodeDecodeError:
            self._socket.close(INVALID_TEXT)

    def binary(self, message: memoryview) -> None:
        self._put({"type": "websocket.receive", "bytes": bytes(message)})

    def overhead(self) -> None: ...

    def paused(self, paused: bool) -> None:
        if paused:
            self._writable.clear()
        else:
            self._writable.set()

    def closed(self, code: int) -> None:
        self._put({"type": "websocket.disconnect", "code": code})
        self._writable.set()

    def _put(self, message: dict[str, Any]) -> None:
        self._waiting.append(message)
        self._arrived.set()
        self._socket.read(False)
