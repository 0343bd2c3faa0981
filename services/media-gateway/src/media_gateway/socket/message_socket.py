"""A media socket over the plain ASGI messages of any server: a queue for what is sent, a task for what arrives."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from starlette.websockets import WebSocket, WebSocketDisconnect

from media_gateway.socket.frame_socket import (
    ABRUPT,
    EXTENSION,
    INTERNAL,
    NO_STATUS,
    NORMAL,
    WRITE_HIGH_BYTES,
    FrameSocket,
    Receiver,
    close_reason,
)

log = logging.getLogger(__name__)

# Not Final: a test shortens it.
CLOSE_S = 1.0
"""Time for the server to send a close frame."""


@asynccontextmanager
async def accepted(websocket: WebSocket) -> AsyncIterator[FrameSocket]:
    """Accept the connection; close it in the end, if that has not happened yet."""
    await websocket.accept()
    extension = websocket.scope.get("extensions", {}).get(EXTENSION)
    if extension is not None:
        yield cast(FrameSocket, extension["socket"])
        return
    socket = MessageSocket(websocket)
    running = asyncio.create_task(socket.run())
    try:
        yield socket
    except Exception:
        socket.close(INTERNAL)
        raise
    finally:
        socket.close()
        await running


class MessageSocket:
    """A `FrameSocket`. Needs `run` beside it, which returns when the connection is closed."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._receiver: Receiver | None = None
        self._is_delivering = False
        self._reading = asyncio.Event()
        """Set while messages are fetched from the server."""
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._is_paused = False
        self._woken = asyncio.Event()
        self._close: tuple[int, str] | None = None
        self._end_code: int | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # -- `FrameSocket`
    def listen(self, receiver: Receiver) -> None:
        self._receiver = receiver
        if self._end_code is not None:
            receiver.closed(self._end_code)
            return
        self._is_delivering = self._close is None
        self._reading.set()

    def trust(self) -> None:
        """Only our own protocol counts connections as pending after the handshake."""

    def stop(self) -> None:
        self._is_delivering = False
        if self._close is None:
            self._reading.clear()

    def send(self, message: bytes) -> None:
        if self._close is not None or self._end_code is not None:
            return
        self._waiting.append(message)
        self._waiting_bytes += len(message)
        self._woken.set()
        if self._waiting_bytes > WRITE_HIGH_BYTES and not self._is_paused:
            self._report_paused(True)

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        if self._close is None:
            self._close = code, close_reason(reason)
            self._is_delivering = False
            self._reading.set()
            self._woken.set()
            asyncio.get_running_loop().call_later(CLOSE_S, self._give_up)

    # -- the connection
    async def run(self) -> None:
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        try:
            await asyncio.wait(self._tasks)
        finally:
            self._give_up()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._ended(ABRUPT if self._close is None else self._close[0])

    def _give_up(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _read(self) -> None:
        while True:
            await self._reading.wait()
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                self._ended(message.get("code") or NO_STATUS)
                self._woken.set()
                return
            try:
                self._deliver(message.get("text"), message.get("bytes"))
            except Exception:
                log.exception("receiver of a media socket failed")
                self.close(INTERNAL)

    def _deliver(self, text: str | None, binary: bytes | None) -> None:
        if not self._is_delivering or self._receiver is None:
            return
        if text is not None:
            self._receiver.text(memoryview(text.encode()))
        elif binary is not None:
            self._receiver.binary(memoryview(binary))

    async def _write(self) -> None:
        while self._end_code is None:
            await self._woken.wait()
            self._woken.clear()
            try:
                # A peer that does not read must not delay our close frame: waiting messages are dropped.
                while self._waiting and self._close is None:
                    message = self._waiting.popleft()
                    await self._websocket.send_text(message.decode())
                    self._waiting_bytes -= len(message)
                if self._close is not None:
                    await self._websocket.close(*self._close)
                    return
            except (WebSocketDisconnect, RuntimeError):
                return  # the connection is lost, and the reader reports it
            if self._is_paused:
                self._report_paused(False)

    def _ended(self, code: int) -> None:
        if self._end_code is None:
            self._end_code = code
            if self._receiver is not None:
                self._receiver.closed(code)

    def _report_paused(self, paused: bool) -> None:
        self._is_paused = paused
        if self._receiver is not None:
            self._receiver.paused(paused)
