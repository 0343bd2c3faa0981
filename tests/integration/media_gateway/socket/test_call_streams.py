"""Audio of the downlink is played, and calls survive the loss of their streams."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from websockets.exceptions import ConnectionClosed

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import (
    Audio,
    Clear,
    Hold,
    ItemEnd,
    MediaAttached,
    Played,
    Playing,
)
from media_gateway import metrics
from media_gateway.socket_context import SocketLimits
from tests.integration.support.gateway_under_test import Gateway, Line, StartGateway, audio_of, level, tone
from tests.support.eventually import eventually


@pytest.mark.parametrize("rate_hz", [16_000, 24_000])
async def test_the_agent_is_heard_to_the_last_sample_and_reported(gateway: Gateway, line: Line, rate_hz: int) -> None:
    speech = tone(510, 24_000)
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(rate_hz)
        await eventually(lambda: line.said(MediaAttached))
        for at in range(0, len(speech), 12_000):
            line.downlink.append(Audio("item_1", speech[at : at + 12_000]))
        line.downlink.append(ItemEnd("item_1"))
        await eventually(lambda: line.said(Played))
        assert line.said(Playing) == [Playing("item_1")]
        assert line.said(Played) == [Played("item_1", 510, complete=True)]
        if rate_hz == 24_000:
            assert acs.pcm == speech
        else:
            expected = 510 * 16
            assert expected <= len(acs.pcm) / 2 <= expected + 40
            assert level(acs.pcm) == pytest.approx(level(speech), rel=0.02)
        assert {len(piece) for piece in acs.heard[:4] if piece} == {rate_hz // 10 * 2}


async def test_audio_leaves_a_short_lead_ahead_of_real_time(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: line.said(MediaAttached))
        loop = asyncio.get_running_loop()
        began = loop.time()
        line.downlink.append(Audio("item_1", tone(2000, 24_000)))
        await eventually(lambda: len(acs.pcm) >= 48_000, every_s=0.002)
        elapsed_s = loop.time() - began
    assert elapsed_s >= 0.75, "one second of audio, 200 ms ahead, takes 800 ms"


async def test_clear_stops_at_once_and_nothing_late_is_heard(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: line.said(MediaAttached))
        line.downlink.append(Audio("item_1", b"\x01\x00" * 24_000 * 5))
        await eventually(lambda: len(acs.heard) >= 6, every_s=0.002)
        before = len(acs.heard)
        line.downlink.append(Clear("item_1"))
        line.downlink.append(Audio("item_1", b"\x01\x00" * 24_000))
        line.downlink.append(ItemEnd("item_1"))
        line.downlink.append(Audio("item_2", b"\x02\x00" * 4800))
        line.downlink.append(ItemEnd("item_2"))
        await eventually(lambda: len(line.said(Played)) == 2)
        stop = acs.heard.index(None)
        assert stop - before <= 2, "StopAudio comes within 200 ms of audio"
        assert acs.heard.count(None) == 1
        assert b"".join(piece or b"" for piece in acs.heard[stop:]) == b"\x02\x00" * 4800
        cleared, complete = line.said(Played)
        assert complete == Played("item_2", 200, complete=True)
        assert isinstance(cleared, Played)
        sent_ms = sum(len(piece or b"") for piece in acs.heard[:stop]) / 48
        assert not cleared.complete
        assert sent_ms - 260 <= cleared.heard_ms <= sent_ms


async def test_a_clear_leaves_nothing_in_the_resampler(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(16_000)
        await eventually(lambda: line.said(MediaAttached))
        line.downlink.append(Audio("item_1", tone(1000, 24_000, level=30_000)))
        await eventually(lambda: acs.heard)
        line.downlink.append(Clear("item_1"))
        line.downlink.append(Audio("item_2", bytes(9600)))
        line.downlink.append(ItemEnd("item_2"))
        await eventually(lambda: Played("item_2", 200, complete=True) in line.said(Played))
        assert not any(b"".join(piece or b"" for piece in acs.heard[acs.heard.index(None) :]))


async def test_the_hold_tone_sounds_until_it_is_switched_off(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(16_000)
        await eventually(lambda: line.said(MediaAttached))
        line.downlink.append(Hold(on=True))
        await eventually(lambda: level(acs.pcm) > 50)
        line.downlink.append(Hold(on=False))
        line.downlink.append(Audio("item_1", bytes(960)))
        line.downlink.append(ItemEnd("item_1"))
        await eventually(lambda: line.said(Played))


async def test_a_call_that_redis_lost_goes_on_when_it_is_written_again(
    gateway: Gateway, line: Line, clients: RedisClients
) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await acs.frame(b"\x01\x00" * 480)
        await eventually(lambda: len(audio_of(line)) == 1)
        record = await line.store.load(line.call_id)
        assert record is not None
        await clients.control.flushall()
        writer, received = gateway.service.context.writer, metrics.FRAMES.received
        await acs.frame(b"\x02\x00" * 480)
        await eventually(lambda: metrics.FRAMES.received > received)
        await writer.flush()
        assert await line.store.restore(record, "relay-1|7")
        await acs.frame(b"\x03\x00" * 480)
        await eventually(lambda: len(audio_of(line)) == 2)
        line.downlink.append(Audio("item_1", bytes(960)))
        line.downlink.append(ItemEnd("item_1"))
        await eventually(lambda: line.said(Played))
        assert acs.close_code is None


async def test_a_call_that_nobody_writes_again_is_over(
    start_gateway: StartGateway, line: Line, clients: RedisClients
) -> None:
    limits = SocketLimits(restored_within_s=0.05)
    async with start_gateway(limits=limits) as gateway, gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: line.said(MediaAttached))
        await clients.control.flushall()

        async def speak() -> bool:
            with contextlib.suppress(ConnectionClosed):
                await acs.frame(b"\x01\x00" * 480)
            return acs.close_code is not None

        await eventually(speak, every_s=0.02)
        assert await acs.closed() == 1000, "the call has ended"
