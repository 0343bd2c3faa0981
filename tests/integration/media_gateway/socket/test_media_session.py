"""The gateway between a WebSocket client in the role of ACS and the streams of a real Redis."""

from __future__ import annotations

import asyncio
import struct

from bridge_common.wire.entries import (
    Audio,
    ItemEnd,
    MediaAttached,
    MediaDetached,
    MediaLost,
    MediaOpen,
    Played,
    Playing,
)
from tests.integration.support.gateway_under_test import Gateway, Line, OpenLine, StartGateway, audio_of
from tests.support.eventually import eventually


async def test_the_end_of_the_call_closes_the_socket_normally(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata()
        await eventually(lambda: line.said(MediaAttached))
        await line.store.end_streams(line.call_id, "hung up")
        assert await acs.closed() == 1000
        assert "hung up" in acs.close_reason
    assert await line.told(MediaLost) == []


async def test_the_newest_socket_of_a_call_wins(gateway: Gateway, start_gateway: StartGateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as first, start_gateway() as elsewhere:
        await first.metadata(24_000)
        await first.frame(b"\x01\x00" * 480)
        await eventually(lambda: audio_of(line))
        async with gateway.dial(line.call_id) as second:
            assert await first.closed() == 4001
            await second.metadata(24_000)
            await second.frame(b"\x02\x00" * 480)
            await eventually(lambda: len(audio_of(line)) == 2)
            line.downlink.append(Audio("item_1", b"\x05\x00" * 480))
            await eventually(lambda: second.pcm)
            assert first.pcm == b""
            async with elsewhere.dial(line.call_id) as third:
                await third.metadata(24_000)
                await third.frame(b"\x03\x00" * 480)
                await eventually(lambda: len(audio_of(line)) == 3)
                await second.frame(b"\x04\x00" * 480)
                assert await second.closed() == 4001
                await third.frame(b"\x03\x00" * 480)
                await eventually(lambda: len(audio_of(line)) == 4)
        assert audio_of(line) == [struct.pack("<480h", *([n] * 480)) for n in (1, 2, 3, 3)]
    await line.await_told(MediaLost)  # only the last one was a loss


async def test_an_abrupt_end_is_told_and_the_call_may_come_back(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: line.said(MediaAttached))
        await line.await_told(MediaOpen)
        line.downlink.append(Audio("item_1", b"\x01\x00" * 24_000))
        await eventually(lambda: line.said(Playing))
        await acs.drop()
        await eventually(lambda: line.said(MediaDetached))
        (lost,) = await line.await_told(MediaLost)
        assert isinstance(lost, MediaLost)
        assert lost.close_code == 1006
        (played,) = line.said(Played)
        assert isinstance(played, Played)
        assert not played.complete
    async with gateway.dial(line.call_id) as again:
        await again.metadata(24_000)
        await again.frame(b"\x09\x00" * 480)
        await eventually(lambda: audio_of(line) == [b"\x09\x00" * 480])
        line.downlink.append(Audio("item_2", b"\x05\x00" * 480))
        await eventually(lambda: again.pcm == b"\x05\x00" * 480)


async def test_twenty_calls_do_not_mix(gateway: Gateway, open_line: OpenLine) -> None:
    async def one_call(number: int) -> None:
        own = struct.pack("<480h", *([number] * 480))
        async with open_line(f"call-{number}") as line, gateway.dial(line.call_id) as acs:
            await acs.metadata(24_000)
            await eventually(lambda: line.said(MediaAttached))
            for _ in range(25):
                await acs.frame(own)
                line.downlink.append(Audio("item", own))
            line.downlink.append(ItemEnd("item"))
            await eventually(lambda: len(audio_of(line)) == 25 and line.said(Played), within_s=10)
            assert audio_of(line) == [own] * 25
            assert acs.pcm == own * 25

    async with asyncio.TaskGroup() as calls:
        for number in range(1, 21):
            calls.create_task(one_call(number))
