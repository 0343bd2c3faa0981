"""The server end of a WebSocket below ASGI: aborts connections and checks the send buffer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from lab.text_frames import FrameSplitter, encode_server_text

_KEY = "lab_connection"

Tap: TypeAlias = Callable[[bytes, float], bool]
"""Function that receives (text, monotonic seconds of its arrival) and returns whether it handled the message."""


class ClientConnection:
    """The connection of one client. `tap` receives complete text messages before ASGI, unless earlier messages are
    still queued for ASGI. ASGI receives the messages that `tap` does not handle.
    """

    def __init__(self, protocol: ReachableProtocol) -> None:
        self._protocol = protocol
        self.transport = protocol.transport
        self.writable = protocol.writable
        self.tap: Tap | None = None

    def send_now(self, text: bytes) -> bool:
        """Write one text message without waiting; false if the connection is closed or its send buffer is full."""
        protocol = self._protocol
        if protocol.conn.state is not State.OPEN or protocol.disconnected or not self.writable.is_set():
            return False
        self.transport.write(encode_server_text(text))
        return True

    def note_refused(self) -> None:
        """Record that the upgrade was answered with an HTTP response. Otherwise uvicorn logs that the handshake was not
        completed.
        """
        self._protocol.handshake_complete = True

    def drop(self) -> None:
        """Abort the connection without a close frame. The client reports close code 1006."""
        self.transport.abort()


class ReachableProtocol(WebSocketsSansIOProtocol):
    """The WebSocket protocol class of uvicorn, which also stores a `ClientConnection` in the scope."""

    lab_connection: ClientConnection | None = None
    _frames: FrameSplitter | None = None

    async def run_asgi(self) -> None:
        self.lab_connection = ClientConnection(self)
        self.scope.setdefault("state", {})[_KEY] = self.lab_connection
        await super().run_asgi()

    def data_received(self, data: bytes) -> None:
        connection = self.lab_connection
        if connection is None or connection.tap is None:
            super().data_received(data)
            return
        if self._frames is None:
            if self.conn.reader.buffer:  # The library has a partial frame.
                super().data_received(data)
                return
            self._frames = FrameSplitter(self.config.ws_max_size)
        now = time.monotonic()
        for frame in self._frames.feed(data):
            if frame.text is None or not self.queue.empty() or self.frames or not connection.tap(frame.text, now):
                super().data_received(frame.raw)


def connection_of(websocket: WebSocket) -> ClientConnection:
    connection = websocket.scope.get("state", {}).get(_KEY)
    if not isinstance(connection, ClientConnection):
        raise RuntimeError("the protocol class of the simulator is missing; serve it with `server_config`")
    return connection
