"""Our WebSocket protocol implements ASGI as those of uvicorn do: one suite over both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.integration.support.echo_sockets import Echoes, raw_peer, running_echoes
from tests.support.eventually import eventually


@pytest.fixture(params=["", "websockets-sansio"], ids=["picows", "websockets"])
async def echoes(request: pytest.FixtureRequest) -> AsyncIterator[Echoes]:
    async with running_echoes(ws=request.param) as echoes:
        yield echoes


def url(echoes: Echoes, path: str) -> str:
    return f"ws://127.0.0.1:{echoes.port}{path}"


async def test_the_route_sees_the_request(echoes: Echoes) -> None:
    async with connect(url(echoes, "/ws/a%20b/c?d=e"), additional_headers={"X-Leg": "leg-1"}, proxy=None) as client:
        await client.send("x")
        assert await client.recv() == "x"
        assert echoes.sockets[0].path == "a b/c"
        assert echoes.sockets[0].headers["x-leg"] == "leg-1"


async def test_a_route_may_choose_a_subprotocol_and_send_headers(echoes: Echoes) -> None:
    async with connect(url(echoes, "/subprotocol?d=e"), subprotocols=["one", "two"], proxy=None) as client:  # type: ignore[list-item]
        assert client.subprotocol == "two"
        assert client.response is not None
        assert client.response.headers["x-leg"] == "1"
        assert await client.recv() == '["/subprotocol","d=e","ws"]'
        with pytest.raises(ConnectionClosed):
            await client.recv()
    assert client.close_code == 1000


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/refused", 403, b""),
        ("/denied", 402, b"pay first"),
        ("/undecided", 500, b""),
        ("/elsewhere", 404, b"not_found"),
    ],
)
async def test_a_route_may_refuse_with_an_http_status(echoes: Echoes, path: str, status: int, body: bytes) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(url(echoes, path), proxy=None).__aenter__()
    response = refused.value.response
    assert response.status_code == status
    assert body in (response.body or b"")
    assert response.headers.get("x-price") == ("1" if status == 402 else None)


@pytest.mark.parametrize("header", ["Sec-WebSocket-Key: again\r\n", "Sec-WebSocket-Version: 8\r\n"])
async def test_a_request_that_breaks_the_protocol_does_not_reach_the_route(echoes: Echoes, header: str) -> None:
    async with raw_peer(echoes.port) as peer:
        assert (await peer.request(headers=header)).startswith(b"HTTP/1.1 4")
        assert await peer.ended()
    assert echoes.sockets == []


async def test_peers_about_whom_a_route_has_not_decided_make_room_for_others() -> None:
    """Nothing is read from them meanwhile, so the route is not notified when they disconnect."""
    async with running_echoes(pending_connections=8) as echoes, contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(raw_peer(echoes.port)) for _ in range(8)]
        for peer in peers:
            peer.writer.write(
                b"GET /waits HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
        await eventually(lambda: echoes.waiting == 8)
        async with connect(url(echoes, "/ws/x"), proxy=None) as client:
            await client.send("x")
            assert await client.recv() == "x"
        assert await peers[0].ended()
        await eventually(lambda: echoes.waiting == 7)


async def test_the_end_of_the_server_ends_the_routes(echoes: Echoes) -> None:
    async with connect(url(echoes, "/messages"), proxy=None) as client:
        await client.send("x")
        assert await client.recv() == "x"
        closing = asyncio.create_task(echoes.server.close())
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code in (1001, 1012)
        await asyncio.wait_for(closing, 5)
