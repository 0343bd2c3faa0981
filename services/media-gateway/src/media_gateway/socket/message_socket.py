"""A media socket over the plain ASGI messages of any server: a queue for outgoing messages, a task for
incoming ones.
"""

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
    OPEN_STATES,
    WRITE_HIGH_BYTES,
    FrameSocket,
    SocketState,
)

log = logging.getLogger(__name__)


@asynccontextmanager
async def accepted(websocket: WebSocket, close_s: float) -> AsyncIterator[FrameSocket]:
    """Accept the connection, and close it at the end of the context unless it is closed already. `close_s`: see
    `MessageSocket`.
    """
    await websocket.accept()
    extension = websocket.scope.get("extensions", {}).get(EXTENSION)
    if extension is not None:
        yield cast(FrameSocket, extension["socket"])
        return
    socket = MessageSocket(websocket, close_s)
    running = asyncio.create_task(socket.run())
    try:
        yield socket
    except Exception:
        socket.close(INTERNAL)
        raise
    finally:
        socket.close()
        await running


class MessageSocket(FrameSocket):
    """A media socket over ASGI messages. Needs `run` in the background, which returns when the connection is closed.
    `close_s`: time limit for the server to send a close frame.
    """

    def __init__(self, websocket: WebSocket, close_s: float) -> None:
        super().__init__()
        self._websocket = websocket
        self._close_s = close_s
        self._reading = asyncio.Event()
        """Set while messages are fetched from the server."""
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._woken = asyncio.Event()
        self._close_frame: tuple[int, str] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def trust(self) -> None:
        """Do nothing: only the gateway's own protocol counts connections as pending after the handshake."""

    def send(self, message: bytes) -> None:
        if self._state not in OPEN_STATES:
            return
        self._waiting.append(message)
        self._waiting_bytes += len(message)
        self._woken.set()
        if self._waiting_bytes > WRITE_HIGH_BYTES and not self._is_paused:
            self._report_paused(True)

    def read(self, reads: bool) -> None:
        (self._reading.set if reads else self._reading.clear)()

    def _send_close(self, code: int, reason: str) -> None:
        self._close_frame = code, reason
        self._woken.set()
        asyncio.get_running_loop().call_later(self._close_s, self._give_up)

    async def run(self) -> None:
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._write())]
        try:
            await asyncio.wait(self._tasks)
        finally:
            self._give_up()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._ended(ABRUPT if self._close_frame is None else self._close_frame[0])

    def _give_up(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _receive(self) -> None:
        while True:
            await self._reading.wait()
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                self._ended(message.get("code") or NO_STATUS)
                self._woken.set()
                return
            try:
                text = message.get("text")
                self._deliver(text is not None, message["bytes"] if text is None else text.encode())
            except Exception:
                log.exception("failed to process media message")
                self.close(INTERNAL)

    async def _write(self) -> None:
        while self._state is not SocketState.CLOSED:
            await self._woken.wait()
            self._woken.clear()
            try:
                # A peer that does not read must not delay the close frame: waiting messages are dropped.
                while self._waiting and self._close_frame is None:
                    message = self._waiting.popleft()
                    await self._websocket.send_text(message.decode())
                    self._waiting_bytes -= len(message)
                if self._close_frame is not None:
                    await self._websocket.close(*self._close_frame)
                    return
            except (WebSocketDisconnect, RuntimeError):
                return  # the connection is lost, and the reader reports it
            if self._is_paused:
                self._report_paused(False)
