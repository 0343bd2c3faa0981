"""The simulator can drop a connection below ASGI, and raises an error if it runs without its protocol class."""

from __future__ import annotations

import pytest
import uvicorn
import websockets
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from lab.voice_live.client_connection import ReachableProtocol, connection_of
from tests.support.lab_server import running


async def cut(websocket: WebSocket) -> None:
    await websocket.accept()
    connection = connection_of(websocket)
    assert connection.writable.is_set()
    connection.drop()


async def test_a_dropped_connection_has_no_close_frame() -> None:
    config = uvicorn.Config(
        Starlette(routes=[WebSocketRoute("/", cut)]), port=0, ws=ReachableProtocol, log_level="error"
    )
    async with running(config) as address, websockets.connect(f"ws://{address}/", proxy=None) as socket:
        with pytest.raises(websockets.ConnectionClosedError):
            await socket.recv()
        assert socket.close_code == 1006


def test_another_protocol_class_is_named_as_the_reason() -> None:
    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", "state": {}}

    async def nothing(*_: object) -> object:
        raise AssertionError("not called")

    with pytest.raises(RuntimeError, match="server_config"):
        connection_of(WebSocket(scope, nothing, nothing))  # type: ignore[arg-type]  # never called
