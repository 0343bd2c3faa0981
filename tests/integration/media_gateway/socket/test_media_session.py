"""The real gateway between a WebSocket that plays ACS and the streams of a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from functools import partial

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import (
    Audio,
    AudioFrame,
    Clear,
    Dtmf,
    Hold,
    ItemEnd,
    MediaAttached,
    MediaDetached,
    MediaLost,
    MediaOpen,
    Played,
    Playing,
    Stamp,
)
from bridge_common.wire.keys import Keys
from media_gateway.socket import media_session
from tests.integration.support.gateway_under_test import Gateway, Line, OpenLine, StartGateway
from tests.support.eventually import eventually


def tone(ms: int, rate_hz: int, hz: float = 400, level: int = 8000) -> bytes:
    n = np.arange(ms * rate_hz // 1000)
    return bytes(np.rint(level * np.sin(2 * np.pi * hz * n / rate_hz)).astype("<i2").tobytes())


def level(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0


def audio_of(line: Line) -> list[bytes]:
    return [entry.pcm24k for entry in line.said(AudioFrame) if isinstance(entry, AudioFrame)]


async def test_24_khz_frames_arrive_untouched_once_and_in_order(gateway: Gateway, line: Line) -> None:
    frames = [struct.pack("<480h", *([number] * 480)) for number in range(200)]
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        for frame in frames:
            await acs.frame(frame)
        await eventually(lambda: len(audio_of(line)) >= len(frames))
    assert line.said(MediaAttached) == [MediaAttached(24_000)]
    assert audio_of(line) == frames
    ids = [entry_id for entry_id, entry in line.uplink if isinstance(entry, AudioFrame)]
    assert len(set(ids)) == len(ids)


async def test_16_khz_frames_become_24_khz_frames(gateway: Gateway, line: Line) -> None:
    pcm = tone(1000, 16_000)
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(16_000)
        for at in range(0, len(pcm), 640):
            await acs.frame(pcm[at : at + 640])
        await eventually(lambda: len(audio_of(line)) >= 50)
    assert {len(frame) for frame in audio_of(line)} == {960}
    assert len(audio_of(line)) == 50
    assert level(b"".join(audio_of(line))) == pytest.approx(level(pcm), rel=0.01)


async def test_silence_is_passed_on_as_sound(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(16_000)
        await acs.silent_frame()
        await acs.frame(b"", silent=True)
        await acs.frame(bytes(640), silent=True)
        await eventually(lambda: len(audio_of(line)) >= 3)
    assert audio_of(line) == [bytes(960)] * 3


async def test_audio_before_metadata_has_the_agreed_rate(start_gateway: StartGateway, line: Line) -> None:
    async with start_gateway(acs_audio_format="pcm24k") as gateway, gateway.dial(line.call_id) as acs:
        await acs.frame(bytes(960))
        await eventually(lambda: audio_of(line))
    assert line.said(MediaAttached) == [MediaAttached(24_000)]


async def test_the_announced_rate_wins_over_the_agreed_one(start_gateway: StartGateway, line: Line) -> None:
    async with start_gateway(acs_audio_format="pcm16k") as gateway, gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await acs.frame(b"\x07\x00" * 480)
        await eventually(lambda: audio_of(line))
    assert audio_of(line) == [b"\x07\x00" * 480]


async def test_tones_arrive_between_the_frames(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await acs.frame(bytes(960))
        await acs.tone("1")
        await acs.tone("#")
        await eventually(lambda: len(line.said(Dtmf)) == 2)
    assert [type(entry) for _, entry in line.uplink][1:5] == [MediaAttached, AudioFrame, Dtmf, Dtmf]
    assert line.said(Dtmf) == [Dtmf("1"), Dtmf("#")]


async def test_only_the_caller_is_heard_where_that_is_asked_for(start_gateway: StartGateway, line: Line) -> None:
    async with start_gateway(accept_participants="caller") as gateway, gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await acs.frame(b"\x01\x00" * 480)
        await acs.frame(b"\x02\x00" * 480, participant="8:acs:somebody-else")
        await acs.frame(b"\x03\x00" * 480, participant=None)
        await eventually(lambda: len(audio_of(line)) == 2)
    assert audio_of(line) == [b"\x01\x00" * 480, b"\x03\x00" * 480]


@pytest.mark.parametrize("caller", ["", "4:anonymous"])
async def test_a_caller_without_an_id_is_heard_whoever_acs_says_speaks(
    start_gateway: StartGateway, line: Line, clients: RedisClients, keys: Keys, caller: str
) -> None:
    await clients.control.hset(keys.record(line.call_id), "caller", caller)
    async with start_gateway(accept_participants="caller") as gateway, gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await acs.frame(b"\x01\x00" * 480, participant="8:acs:a-guest")
        await acs.frame(b"\x02\x00" * 480, participant="4:anonymous")
        await eventually(lambda: len(audio_of(line)) == 2)


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


async def test_the_end_of_the_call_closes_the_socket_normally(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata()
        await eventually(lambda: line.said(MediaAttached))
        await line.store.end_streams(line.call_id, "hung up")
        assert await acs.closed() == 1000
        assert "hung up" in acs.close_reason
    assert await line.told(MediaLost) == []


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
        writer = gateway.service._around.writer
        queued = writer._queued
        await acs.frame(b"\x02\x00" * 480)
        await eventually(lambda: writer._queued > queued and writer._settled == writer._queued)
        assert await line.store.restore(record, "relay-1|7")
        await acs.frame(b"\x03\x00" * 480)
        await eventually(lambda: len(audio_of(line)) == 2)
        line.downlink.append(Audio("item_1", bytes(960)))
        line.downlink.append(ItemEnd("item_1"))
        await eventually(lambda: line.said(Played))
        assert acs.close_code is None


async def test_a_call_that_nobody_writes_again_is_over(
    gateway: Gateway, line: Line, clients: RedisClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_session, "RESTORED_WITHIN_S", 0.05)
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: line.said(MediaAttached))
        await clients.control.flushall()

        async def speak() -> bool:
            with contextlib.suppress(ConnectionClosed):
                await acs.frame(b"\x01\x00" * 480)
            return acs.close_code is not None

        await eventually(speak, every_s=0.02)
        assert await acs.closed() == 1000, "the call has ended"


async def test_ten_bad_frames_close_the_socket_and_no_other(gateway: Gateway, open_line: OpenLine) -> None:
    async with (
        open_line("a") as one,
        open_line("b") as two,
        gateway.dial(one.call_id) as bad,
        gateway.dial(two.call_id) as good,
    ):
        await bad.metadata(24_000)
        await good.metadata(24_000)
        nonsense: list[str | bytes] = ["no json", b"\x00\x01", "[]", '{"kind":"AudioData"}', "x" * 100_000]
        for message in nonsense + nonsense[:4]:
            await bad.socket.send(message)
        await bad.frame(b"\x01\x00" * 480)
        await eventually(lambda: audio_of(one))
        for message in nonsense:
            await bad.socket.send(message)
            await good.frame(b"\x02\x00" * 480)
        for message in nonsense:
            await bad.socket.send(message)
            await good.frame(b"\x02\x00" * 480)
        assert await bad.closed() == 1008
        await good.frame(b"\x02\x00" * 480)
        await eventually(lambda: len(audio_of(two)) == 11)
        assert good.close_code is None
        await eventually(lambda: one.said(MediaDetached))


@pytest.mark.parametrize("changes", [{"rate_hz": 8000}, {"channels": 2}, {"encoding": "OPUS"}])
async def test_other_audio_than_agreed_is_refused(gateway: Gateway, line: Line, changes: dict[str, int]) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(**changes)
        assert await acs.closed() == 1003


async def test_far_more_than_real_time_is_refused(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(16_000)
        with contextlib.suppress(ConnectionClosed):
            for _ in range(3000):
                await acs.frame(bytes(640))
        assert await acs.closed() == 1008


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


async def test_while_acs_sends_nothing_stamps_show_that_the_gateway_lives(gateway: Gateway, line: Line) -> None:
    """A relay that reads nothing for a second takes the gateway for dead."""
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata()
        await acs.frame(bytes(640))
        await eventually(lambda: line.said(AudioFrame))
        for more in range(1, 4):
            await eventually(partial(line.has_said_at_least, Stamp, more), within_s=0.8)
