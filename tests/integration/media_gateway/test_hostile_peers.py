"""Media sockets of peers that misuse a valid token."""

from __future__ import annotations

import pytest

from bridge_common.wire.entries import AudioFrame, MediaAttached, MediaLost
from media_gateway import metrics
from media_gateway.socket_context import SocketLimits
from tests.integration.support.echo_sockets import CONTINUATION, FIN, PING, PONG, TEXT, frame, raw_peer
from tests.integration.support.gateway_under_test import Gateway, Line, OpenLine, StartGateway
from tests.support.eventually import eventually

METADATA = b'{"kind":"AudioMetadata","audioMetadata":{"encoding":"PCM","sampleRate":24000,"channels":1,"length":960}}'


@pytest.mark.parametrize("opcode", [FIN | PING, FIN | PONG, CONTINUATION], ids=["pings", "pongs", "fragments"])
async def test_frames_without_a_message_are_held_to_real_time_too(
    start_gateway: StartGateway, line: Line, opcode: int
) -> None:
    limits = SocketLimits(idle_s=60.0)
    async with start_gateway(limits=limits) as gateway, raw_peer(gateway.running.port) as peer:
        await peer.request(gateway.path(line.call_id))
        peer.send(FIN | TEXT, METADATA)
        await eventually(lambda: line.said(MediaAttached))
        peer.send(TEXT, b"{")
        for _ in range(600):
            peer.send(opcode)
        assert await peer.closed_with() == 1008


async def test_a_peer_that_goes_on_after_the_end_of_the_call_is_cut_off(
    start_gateway: StartGateway, open_line: OpenLine
) -> None:
    async with (
        start_gateway(limits=SocketLimits(close_s=60.0)) as gateway,
        open_line("a") as ended,
        open_line("b") as other,
        gateway.dial(other.call_id) as acs,
    ):
        await acs.metadata(24_000)
        async with raw_peer(gateway.running.port) as peer:
            await peer.request(gateway.path(ended.call_id))
            peer.send(FIN | TEXT, METADATA)
            await eventually(lambda: ended.said(MediaAttached) and other.said(MediaAttached))
            await ended.store.end_streams(ended.call_id, "hung up")
            assert await peer.closed_with() == 1000
            peer.writer.write(frame(FIN | TEXT, b"x") * 100_000)
            assert await peer.ended(within_s=10)
        await acs.frame(bytes(960))
        await eventually(lambda: other.said(AudioFrame))


async def test_a_flood_of_bad_frames_is_not_read_to_its_end(gateway: Gateway, line: Line) -> None:
    """The tenth bad frame ends the socket. Once, all frames of a read were decoded, counted and logged."""
    before = metrics.BAD_FRAMES._value.get()
    async with raw_peer(gateway.running.port) as peer:
        await peer.request(gateway.path(line.call_id))
        peer.send(FIN | TEXT, METADATA)
        await eventually(lambda: line.said(MediaAttached))
        peer.writer.write(frame(FIN | TEXT, b"x") * 100_000)
        assert await peer.ended(within_s=10)
    await line.await_told(MediaLost)
    assert metrics.BAD_FRAMES._value.get() - before == 10
