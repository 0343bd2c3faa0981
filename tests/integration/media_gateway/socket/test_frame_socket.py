"""One socket, frame by frame, over our own protocol and over the one of uvicorn, through ASGI messages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from media_gateway.socket.direct_socket import LARGEST_MESSAGE_BYTES, DirectSocket
from media_gateway.socket.frame_socket import ABRUPT, NO_STATUS, FrameSocket
from media_gateway.socket.message_socket import MessageSocket
from media_gateway.socket_context import SocketLimits
from tests.integration.support.echo_sockets import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    PING,
    PONG,
    TEXT,
    Echoes,
    fill,
    frame,
    raw_peer,
    running_echoes,
)
from tests.support.eventually import eventually

SOCKETS: dict[str, type[FrameSocket]] = {"": DirectSocket, "websockets-sansio": MessageSocket}


@pytest.fixture(params=SOCKETS, ids=["picows", "websockets"])
def ws(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def echoes(ws: str) -> AsyncIterator[Echoes]:
    async with running_echoes(ws=ws) as echoes:
        yield echoes


async def test_the_extension_is_used_where_the_server_has_it(echoes: Echoes, ws: str) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request()
        heard = (await eventually(lambda: echoes.sockets))[0]
        assert isinstance(heard.socket, SOCKETS[ws])
        heard.socket.trust()
        peer.send(FIN | TEXT, b"x")
        assert await peer.receive() == (FIN | TEXT, b"x")


async def test_messages_of_every_length_pass_whole(echoes: Echoes) -> None:
    async with connect(echoes.url + "x", proxy=None, max_size=None, compression=None) as client:
        for length in (0, 1, 125, 126, 65535, 65536, LARGEST_MESSAGE_BYTES):
            await client.send("x" * length)
            assert await client.recv() == "x" * length


async def test_fragments_become_one_message_with_pings_between(echoes: Echoes) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request()
        peer.send(TEXT, b"hel")
        peer.send(FIN | PING, b"there?")
        peer.send(CONTINUATION)
        peer.send(FIN | CONTINUATION, b"lo")
        assert await peer.receive() == (FIN | PONG, b"there?")
        assert await peer.receive() == (FIN | TEXT, b"hello")
        peer.send(FIN | TEXT, b"again")
        assert await peer.receive() == (FIN | TEXT, b"again")


async def test_a_binary_message_is_distinguished(echoes: Echoes) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request()
        peer.send(FIN | BINARY, b"\x00\x01")
        peer.send(BINARY, b"\x00")
        peer.send(FIN | CONTINUATION, b"\x01")
        peer.send(FIN | TEXT, b"x")
        assert await peer.receive() == (FIN | TEXT, b"x")
    assert echoes.sockets[0].binaries == 2


@pytest.mark.parametrize(
    "frames",
    [
        [(FIN | CONTINUATION, b"x")],
        [(TEXT, b"x"), (FIN | TEXT, b"y")],
        [(FIN | 0x40 | TEXT, b"compressed?")],
        [(FIN | 0x3, b"reserved")],
        [(PING, b"a control frame in fragments")],
        [(FIN | PING, b"x" * 126)],
        [(FIN | CLOSE, b"x")],
        [(FIN | CLOSE, (999).to_bytes(2, "big"))],
    ],
    ids=["no start", "start in between", "extension", "opcode", "control fragment", "long ping", "half code", "code"],
)
async def test_what_breaks_the_protocol_is_closed(echoes: Echoes, frames: list[tuple[int, bytes]]) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request()
        for opcode, payload in frames:
            peer.send(opcode, payload)
        assert await peer.closed_with() == 1002
        assert await peer.ended()
    await eventually(lambda: echoes.sockets[0].codes)


async def test_an_unmasked_frame_is_refused(echoes: Echoes) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request()
        peer.send(FIN | TEXT, b"x", masked=False)
        assert await peer.closed_with() == 1002


@pytest.mark.parametrize("pieces", [1, 2, 100_000])
async def test_a_message_beyond_the_limit_closes_its_socket_only(echoes: Echoes, pieces: int) -> None:
    async with raw_peer(echoes.port) as big, connect(echoes.url + "x", proxy=None) as small:
        await big.request()
        piece = b"x" * ((LARGEST_MESSAGE_BYTES + pieces) // pieces)
        big.send(FIN | TEXT if pieces == 1 else TEXT, piece)
        for _ in range(pieces - 1):
            big.send(CONTINUATION, piece)
        assert await big.closed_with() == 1009
        assert await big.ended()
        await small.send("fine")
        assert await small.recv() == "fine"


async def test_the_peers_close_is_answered_and_reported(echoes: Echoes) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request()
        peer.send(FIN | CLOSE, (4000).to_bytes(2, "big") + b"bye")
        peer.send(FIN | TEXT, b"after the end")
        assert await peer.closed_with() == 4000
        assert await peer.ended(within_s=0.9)
    await eventually(lambda: echoes.sockets[0].codes == [4000])
    assert echoes.sockets[0].texts == []


async def test_a_close_without_a_code(echoes: Echoes) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request()
        peer.send(FIN | CLOSE)
        assert await peer.closed_with() in (1000, 0)
    await eventually(lambda: echoes.sockets[0].codes == [NO_STATUS])


async def test_a_lost_connection_is_1006(echoes: Echoes) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request()
        await eventually(lambda: echoes.sockets)
    await eventually(lambda: echoes.sockets[0].codes in ([ABRUPT], [NO_STATUS]))


async def test_our_close_waits_for_the_peers_answer(echoes: Echoes) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request()
        await eventually(lambda: echoes.sockets)
        echoes.sockets[0].socket.close(4001, "ü" * 200)
        echoes.sockets[0].socket.close(1000, "the first one counts")
        first, payload = await peer.receive()
        assert (first, payload[:2]) == (FIN | CLOSE, (4001).to_bytes(2, "big"))
        assert payload[2:].decode() == "ü" * 60, "cut to what a close frame holds"
        peer.send(FIN | TEXT, b"was on its way")
        peer.send(FIN | CLOSE, payload[:2])
        assert await peer.ended(within_s=0.9)
    await eventually(lambda: echoes.sockets[0].codes == [4001])
    assert echoes.sockets[0].texts == []


async def test_a_stopped_socket_hears_nothing_and_still_sends(echoes: Echoes) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request()
        heard = (await eventually(lambda: echoes.sockets))[0]
        heard.socket.stop()
        for number in range(300):
            peer.send(FIN | TEXT, b"%d" % number)
        heard.socket.send(b"sent while stopped")
        assert await peer.receive() == (FIN | TEXT, b"sent while stopped")
        assert heard.texts == []
        assert heard.codes == []
        heard.socket.listen(heard)
        peer.send(FIN | TEXT, b"last")
        await eventually(lambda: heard.texts[-1:] == [b"last"])
        heard.socket.stop()
        heard.socket.close(4001)
        assert await peer.closed_with() == 4001
        peer.send(FIN | CLOSE, (4001).to_bytes(2, "big"))
        assert await peer.ended()
    assert heard.codes == [4001]


async def test_what_comes_before_anybody_listens_is_kept_in_order(echoes: Echoes) -> None:
    echoes.gate.clear()
    async with raw_peer(echoes.port) as peer:
        early = [frame(FIN | TEXT, b"1"), frame(FIN | BINARY, b"2"), frame(TEXT, b"3"), frame(FIN | CONTINUATION, b"4")]
        await peer.request("/ws/x", "Upgrade", *early)
        peer.send(FIN | TEXT, b"5")
        await eventually(lambda: echoes.sockets)
        echoes.gate.set()
        await eventually(lambda: echoes.sockets[0].texts == [b"1", b"34", b"5"])
        assert echoes.sockets[0].binaries == 1


async def test_a_receiver_that_fails_costs_its_own_socket(echoes: Echoes) -> None:
    async with connect(echoes.url + "x", proxy=None) as one, connect(echoes.url + "y", proxy=None) as other:
        await one.send("break")
        with pytest.raises(ConnectionClosedError) as closed:
            await one.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
        await other.send("fine")
        assert await other.recv() == "fine"


async def test_a_peer_that_does_not_read_pauses_the_writer(echoes: Echoes) -> None:
    async with raw_peer(echoes.port, receives_bytes=8192) as peer:
        await peer.request()
        peer.reads(False)
        heard = (await eventually(lambda: echoes.sockets))[0]
        sent = await fill(heard)
        peer.send(FIN | TEXT, b"last")
        await eventually(lambda: heard.texts)
        peer.reads(True)
        for _ in range(sent):
            assert (await peer.receive())[0] == FIN | TEXT
        assert await peer.receive() == (FIN | TEXT, b"last")
        await eventually(lambda: not heard.pauses[-1])


async def test_a_close_does_not_wait_for_a_peer_that_does_not_read(ws: str) -> None:
    limits = SocketLimits(close_s=0.1)
    async with running_echoes(ws=ws, limits=limits) as echoes, raw_peer(echoes.port, receives_bytes=8192) as peer:
        await peer.request()
        peer.reads(False)
        heard = (await eventually(lambda: echoes.sockets))[0]
        for _ in range(3000):
            heard.socket.send(b"x" * 1000)
        heard.socket.close(1008)
        heard.socket.send(b"after the end")
        heard.socket.close(1000, "the first one counts")
        await eventually(lambda: heard.codes == [1008])
