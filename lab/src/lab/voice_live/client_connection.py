"""The server's end of one WebSocket, one layer below ASGI: needed to cut a connection and to see a full send buffer."""

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
"""(text, monotonic seconds of its arrival) -> whether it was taken."""


class ClientConnection:
    """`tap` gets whole text messages before ASGI does, as long as none waits there; what it does not take goes the
    usual way.
    """

    def __init__(self, protocol: ReachableProtocol) -> None:
        self._protocol = protocol
        self.transport = protocol.transport
        self.writable = protocol.writable
        self.tap: Tap | None = None

    def send_now(self, text: bytes) -> bool:
        """Write one text message at once; false when the connection is not open or cannot take it now."""
        protocol = self._protocol
        if protocol.conn.state is not State.OPEN or protocol.disconnected or not self.writable.is_set():
            return False
        self.transport.write(encode_server_text(text))
        return True

    def note_refused(self) -> None:
        """After an HTTP answer to the upgrade: else uvicorn logs an error about a handshake never completed."""
        self._protocol.handshake_complete = True

    def drop(self) -> None:
        """No close frame, no FIN after the rest of the buffer: the other side sees 1006."""
        self.transport.abort()


class ReachableProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own protocol; it also leaves a `Connection` in the scope."""

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
            if self.conn.reader.buffer:  # in the middle of a frame, which the library has begun
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
        raise RuntimeError("the simulator has to be served with `server_config`, which sets its protocol class")
    return connection
