"""The server's end of one WebSocket, one layer below ASGI: needed to cut a connection and to see a full send buffer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_KEY = "lab_connection"


@dataclass(frozen=True)
class Connection:
    transport: asyncio.Transport
    writable: asyncio.Event
    _protocol: ReachableProtocol

    def note_refused(self) -> None:
        """After an HTTP answer to the upgrade: else uvicorn logs an error about a handshake never completed."""
        self._protocol.handshake_complete = True

    def drop(self) -> None:
        """No close frame, no FIN after the rest of the buffer: the other side sees 1006."""
        self.transport.abort()


class ReachableProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own protocol; it also leaves a `Connection` in the scope."""

    async def run_asgi(self) -> None:
        self.scope.setdefault("state", {})[_KEY] = Connection(self.transport, self.writable, self)
        await super().run_asgi()


def connection_of(websocket: WebSocket) -> Connection:
    connection = websocket.scope.get("state", {}).get(_KEY)
    if not isinstance(connection, Connection):
        raise RuntimeError("the simulator has to be served with `server_config`, which sets its protocol class")
    return connection
