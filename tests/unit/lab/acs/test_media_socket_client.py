"""The WebSocket client of the media socket against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from lab.acs.media_socket_client import MediaSocketClient, SocketRefusedError, open_media_socket
from tests.support.eventually import eventually


class Peer:
    """Records the callbacks of the client and controls the server end of its connection."""

    def __init__(self) -> None:
        self.url = ""
        self.texts: list[bytes] = []
        self.codes: list[int] = []
        self.connections: list[ServerConnection] = []
        self.received: list[str | bytes] = []
        self.status: int | None = None
        self.hang = asyncio.Event()
        self.hang.set()

    async def open(self, timeout_s: float = 20.0, url: str = "") -> MediaSocketClient:
        headers = {"Authorization": "Bearer t"}
        take = self.texts
        return await open_media_socket(
            url or self.url, headers, lambda text, _: take.append(text), self.codes.append, timeout_s
        )

    async def serve(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        try:
            async for message in connection:
                self.received.append(message)
        except ConnectionClosed:
            return

    async def process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        await self.hang.wait()
        return None if self.status is None else connection.respond(HTTPStatus(self.status), "no\n")


@asynccontextmanager
async def peer() -> AsyncIterator[Peer]:
    one = Peer()
    async with serve(one.serve, "127.0.0.1", 0, process_request=one.process_request, compression=None) as server:
        one.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/a%2Fb?k=v"
        yield one
        one.hang.set()


async def test_messages_go_both_ways_and_the_url_and_headers_arrive_as_given() -> None:
    async with peer() as server:
        socket = await server.open()
        assert socket.send_text(b"hello")
        socket.send_binary(b"\0")
        await eventually(lambda: server.received == ["hello", b"\0"])
        (connection,) = server.connections
        assert connection.request is not None
        assert connection.request.path == "/ws/a%2Fb?k=v"
        assert connection.request.headers["authorization"] == "Bearer t"
        await connection.send("one")
        await connection.send(["t", "w", "o"])
        await eventually(lambda: server.texts == [b"one", b"two"])
        await connection.ping()
        await socket.close(1000)
        assert connection.close_code == 1000
        assert server.codes == [1000]
        assert not socket.send_text(b"too late")


async def test_the_servers_close_code_is_reported_once() -> None:
    async with peer() as server:
        socket = await server.open()
        await eventually(lambda: server.connections)
        await server.connections[0].close(1012, "restart")
        await eventually(lambda: server.codes == [1012])
        assert not socket.is_open
        await socket.close(1000)
        assert server.codes == [1012]


async def test_an_abrupt_end_is_1006_for_both_sides() -> None:
    async with peer() as server:
        await server.open()
        await eventually(lambda: server.connections)
        server.connections[0].transport.abort()
        await eventually(lambda: server.codes == [1006])
        socket = await server.open()
        await eventually(lambda: len(server.connections) == 2)
        socket.cut()
        await eventually(lambda: server.connections[1].close_code == 1006)


@pytest.mark.parametrize("status", [401, 403, 503])
async def test_a_refused_upgrade_raises_and_reports_no_close(status: int) -> None:
    async with peer() as server:
        server.status = status
        with pytest.raises(SocketRefusedError, match=str(status)):
            await server.open()
        assert server.codes == []


async def test_an_upgrade_that_takes_too_long_is_refused() -> None:
    async with peer() as server:
        server.hang.clear()
        with pytest.raises(SocketRefusedError, match=r"within 0\.1 s"):
            await server.open(timeout_s=0.1)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/", "http://127.0.0.1/", "nonsense", "ws://"])
async def test_an_address_without_a_server_is_refused(url: str) -> None:
    with pytest.raises(SocketRefusedError):
        await open_media_socket(url, {}, lambda *_: None, lambda _: None, 1.0)


async def test_a_server_that_speaks_no_http_is_refused() -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SocketRefusedError):
            await open_media_socket(f"ws://127.0.0.1:{port}/", {}, lambda *_: None, lambda _: None, 1.0)
