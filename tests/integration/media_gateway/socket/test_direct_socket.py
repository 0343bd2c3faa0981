"""A socket on our own protocol: the protection against its peer, which other servers do not have."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from media_gateway.socket.direct_socket import CLOSING_FRAMES
from media_gateway.socket_context import SocketLimits
from tests.integration.support.echo_sockets import (
    CLOSE,
    CONTINUATION,
    FIN,
    PING,
    PONG,
    TEXT,
    Echoes,
    drained,
    fill,
    frame,
    raw_peer,
    running_echoes,
)
from tests.support.eventually import eventually


@pytest.fixture
async def echoes() -> AsyncIterator[Echoes]:
    async with running_echoes() as echoes:
        yield echoes


@pytest.fixture
async def patient() -> AsyncIterator[Echoes]:
    """Waits much longer for the peer's close frame than a test takes."""
    async with running_echoes(limits=SocketLimits(close_s=60.0)) as echoes:
        yield echoes


async def test_a_peer_that_does_not_answer_our_close_is_dropped() -> None:
    async with running_echoes(limits=SocketLimits(close_s=0.1)) as echoes, raw_peer(echoes.port) as peer:
        await peer.request()
        await eventually(lambda: echoes.sockets)
        echoes.sockets[0].socket.close(1008)
        await eventually(lambda: echoes.sockets[0].codes == [1008])
        assert await peer.ended()


FLOODS = {
    "small frames": [frame(FIN | TEXT, b"x")],
    "empty frames": [frame(FIN | TEXT)],
    "pings": [frame(FIN | PING)],
    "pongs": [frame(FIN | PONG, b"x")],
    "fragments": [frame(TEXT, b"x"), *[frame(CONTINUATION)] * 50],
    "reserved bits": [frame(FIN | 0x40 | TEXT, b"x")],
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_a_peer_that_goes_on_after_our_close_is_cut_off(patient: Echoes, flood: list[bytes]) -> None:
    async with raw_peer(patient.port) as peer:
        await peer.request("/ws/refused")
        assert await peer.closed_with() == 1008
        peer.writer.write(b"".join(flood) * 200)
        assert await peer.ended(within_s=10)


async def test_a_few_frames_after_our_close_are_read_for_the_peers_answer(patient: Echoes) -> None:
    assert CLOSING_FRAMES >= 50, "ACS sends 50 frames a second"
    async with raw_peer(patient.port) as peer:
        await peer.request()
        heard = (await eventually(lambda: patient.sockets))[0]
        heard.socket.close(4000)
        assert await peer.closed_with() == 4000
        for _ in range(50):
            peer.send(FIN | TEXT, b"x" * 900)
        assert not await peer.ended(within_s=0.3)
        peer.send(FIN | CLOSE, (4000).to_bytes(2, "big"))
        assert await peer.ended(within_s=10)
    assert heard.codes == [4000]
    assert heard.texts == []


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_a_flood_that_comes_with_the_request_is_cut_off(echoes: Echoes, flood: list[bytes]) -> None:
    echoes.gate.clear()
    async with raw_peer(echoes.port) as peer:
        with contextlib.suppress(ConnectionResetError, asyncio.IncompleteReadError):  # the reply may be lost
            await peer.request("/ws/x", "Upgrade", *flood * 200)
        assert await peer.ended(within_s=10)
    echoes.gate.set()


async def test_a_receiver_that_stops_at_an_early_message_stays_stopped(echoes: Echoes) -> None:
    echoes.gate.clear()
    async with raw_peer(echoes.port) as peer:
        await peer.request("/ws/x", "Upgrade", frame(FIN | TEXT, b"stop"), frame(FIN | TEXT, b"unheard"))
        heard = (await eventually(lambda: echoes.sockets))[0]
        echoes.gate.set()
        assert await peer.receive() == (FIN | TEXT, b"stop")
        assert heard.texts == [b"stop"]
        for _ in range(2000):
            peer.send(FIN | TEXT, b"x" * 10_000)
        assert not await drained(peer.writer, 0.3), "nothing is read from the connection"


async def test_frames_without_a_message_are_reported_for_the_pace(echoes: Echoes) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request()
        heard = (await eventually(lambda: echoes.sockets))[0]
        for opcode in (FIN | PING, FIN | PONG, TEXT, CONTINUATION, FIN | CONTINUATION):
            peer.send(opcode)
        await eventually(lambda: heard.texts == [b""])
        assert heard.overheads == 4, "the last fragment completes a message, which is counted as such"


async def test_a_peer_that_does_not_read_gets_no_pongs(echoes: Echoes) -> None:
    async with raw_peer(echoes.port, receives_bytes=8192) as peer:
        await peer.request()
        peer.reads(False)
        heard = (await eventually(lambda: echoes.sockets))[0]
        sent = await fill(heard)
        for _ in range(100):
            peer.send(FIN | PING, b"and?")
        peer.send(FIN | TEXT, b"last")
        await eventually(lambda: heard.texts)
        peer.reads(True)
        for _ in range(sent):
            assert (await peer.receive())[0] == FIN | TEXT
        assert await peer.receive() == (FIN | TEXT, b"last")


async def test_an_end_before_anybody_listens_is_reported(echoes: Echoes) -> None:
    echoes.gate.clear()
    async with raw_peer(echoes.port) as peer:
        await peer.request("/ws/x", "Upgrade", frame(FIN | CLOSE, (1001).to_bytes(2, "big")))
        await eventually(lambda: echoes.sockets)
    echoes.gate.set()
    await eventually(lambda: echoes.sockets[0].codes == [1001])
