"""A route that uses plain ASGI messages, over our own protocol and over the one of uvicorn."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.integration.support.echo_sockets import CLOSE, FIN, TEXT, Echoes, drained, frame, raw_peer, running_echoes


@pytest.fixture(params=["", "websockets-sansio"], ids=["picows", "websockets"])
async def echoes(request: pytest.FixtureRequest) -> AsyncIterator[Echoes]:
    async with running_echoes(ws=request.param) as echoes:
        yield echoes


async def test_text_and_binary_messages_come_back(echoes: Echoes) -> None:
    async with connect(f"ws://127.0.0.1:{echoes.port}/messages", proxy=None, compression=None) as client:
        for message in ("", "x", "ü" * 70_000, b"", b"\x00\xff" * 70_000):
            await client.send(message)
            assert await client.recv() == message
        await client.send("close")
        with pytest.raises(ConnectionClosed):
            await client.recv()
    assert (client.close_code, client.close_reason) == (4000, "as you like")


async def test_messages_arrive_in_order_also_those_sent_with_the_request(echoes: Echoes) -> None:
    async with raw_peer(echoes.port) as peer:
        early = [frame(FIN | TEXT, b"%d" % number) for number in range(20)]
        await peer.request("/messages", "Upgrade", *early)
        for number in range(20, 3000):
            peer.send(FIN | TEXT, b"%d" % number)
        for number in range(3000):
            assert await peer.receive() == (FIN | TEXT, b"%d" % number)
        peer.send(FIN | CLOSE, (4001).to_bytes(2, "big"))
        assert await peer.closed_with() == 4001
        assert await peer.ended()


async def test_text_that_is_not_utf_8_closes_the_socket(echoes: Echoes) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request("/messages")
        peer.send(FIN | TEXT, b"\xff")
        assert await peer.closed_with() == 1007


async def test_a_route_waits_for_a_peer_that_does_not_read(echoes: Echoes) -> None:
    async with raw_peer(echoes.port, receives_bytes=8192) as peer:
        await peer.request("/messages")
        peer.reads(False)
        message = b"x" * 100_000
        for _ in range(120):
            peer.send(FIN | TEXT, message)
        assert not await drained(peer.writer, 0.3), "the server reads no further either"
        peer.reads(True)
        for _ in range(120):
            assert await peer.receive() == (FIN | TEXT, message)
