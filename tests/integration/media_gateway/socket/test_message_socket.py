"""A socket over the ASGI messages of a server that does not have our extension."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from media_gateway.socket import message_socket
from media_gateway.socket.message_socket import MessageSocket
from tests.integration.support.echo_sockets import FIN, TEXT, Echoes, raw_peer, running_echoes
from tests.support.eventually import eventually


@pytest.fixture
async def echoes() -> AsyncIterator[Echoes]:
    async with running_echoes(ws="websockets-sansio") as echoes:
        yield echoes


async def test_without_the_extension_messages_are_used(echoes: Echoes) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request()
        heard = (await eventually(lambda: echoes.sockets))[0]
        assert isinstance(heard.socket, MessageSocket)
        heard.socket.trust()
        peer.send(FIN | TEXT, b"x")
        assert await peer.receive() == (FIN | TEXT, b"x")


async def test_a_peer_that_does_not_read_pauses_the_writer(echoes: Echoes) -> None:
    async with raw_peer(echoes.port, receives_bytes=8192) as peer:
        await peer.request()
        peer.reads(False)
        heard = (await eventually(lambda: echoes.sockets))[0]
        sent = 0

        def is_full() -> bool:
            """The writer is paused, and was when this was asked before: the kernels have taken what they take."""
            nonlocal sent
            before = sent
            while not heard.pauses or not heard.pauses[-1]:
                heard.socket.send(b"x" * 1000)
                sent += 1
            return sent == before

        await eventually(is_full, every_s=0.05)
        peer.send(FIN | TEXT, b"last")
        await eventually(lambda: heard.texts)
        peer.reads(True)
        for _ in range(sent):
            assert (await peer.receive())[0] == FIN | TEXT
        assert await peer.receive() == (FIN | TEXT, b"last")
        await eventually(lambda: not heard.pauses[-1])


async def test_a_close_does_not_wait_for_a_peer_that_does_not_read(
    echoes: Echoes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_socket, "CLOSE_S", 0.1)
    async with raw_peer(echoes.port, receives_bytes=8192) as peer:
        await peer.request()
        peer.reads(False)
        heard = (await eventually(lambda: echoes.sockets))[0]
        for _ in range(3000):
            heard.socket.send(b"x" * 1000)
        heard.socket.close(1008)
        heard.socket.send(b"after the end")
        heard.socket.close(1000, "the first one counts")
        await eventually(lambda: heard.codes == [1008])
