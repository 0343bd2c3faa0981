"""Messages of ACS become entries of the uplink, and messages that ACS never sends close the socket."""

from __future__ import annotations

import contextlib
import struct
from functools import partial

import pytest
from websockets.exceptions import ConnectionClosed

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import (
    AudioFrame,
    Dtmf,
    MediaAttached,
    MediaDetached,
    Stamp,
)
from bridge_common.wire.keys import Keys
from tests.integration.support.acs_media_peer import CALLER
from tests.integration.support.gateway_under_test import Gateway, Line, OpenLine, StartGateway, audio_of, level, tone
from tests.support.eventually import eventually


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


async def test_only_the_caller_is_heard_at_first(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await acs.frame(b"\x01\x00" * 480)
        await acs.frame(b"\x02\x00" * 480, participant="8:acs:ourselves")
        await acs.frame(b"\x03\x00" * 480, participant=None)
        await acs.frame(b"\x04\x00" * 480, participant="4:+14255550177")
        await acs.frame(b"\x05\x00" * 480)
        await eventually(lambda: b"\x05\x00" * 480 in audio_of(line))
        assert not {b"\x02\x00" * 480, b"\x04\x00" * 480} & set(audio_of(line))
        assert [frame for frame in audio_of(line) if any(frame)] == [
            b"\x01\x00" * 480,
            b"\x03\x00" * 480,
            b"\x05\x00" * 480,
        ]


@pytest.mark.parametrize("caller", ["", "4:anonymous"])
async def test_a_caller_without_an_id_is_heard_whatever_id_acs_sends(
    gateway: Gateway, line: Line, clients: RedisClients, keys: Keys, caller: str
) -> None:
    await clients.control.hset(keys.record(line.call_id), "caller", caller)
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await acs.frame(b"\x01\x00" * 480, participant="4:+14255550111")
        await acs.frame(b"\x02\x00" * 480, participant="4:+14255550111")
        await eventually(lambda: audio_of(line) == [b"\x01\x00" * 480, b"\x02\x00" * 480])


async def test_ids_of_mixed_audio_are_ignored(start_gateway: StartGateway, line: Line) -> None:
    async with start_gateway(acs_audio_channels="mixed") as gateway, gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        for number, participant in enumerate([None, "4:+14255550177", CALLER, "8:acs:ourselves"]):
            await acs.frame(bytes([number, 0]) * 480, participant=participant)
        await eventually(lambda: audio_of(line) == [bytes([number, 0]) * 480 for number in range(4)])


async def test_a_tone_names_the_person_who_pressed_the_key_if_acs_does(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await acs.tone("1", participant="4:+14255550177")
        await acs.tone("2")
        await eventually(lambda: line.said(Dtmf) == [Dtmf("1", "4:+14255550177"), Dtmf("2")])


async def test_five_people_who_speak_at_once_are_no_flood(gateway: Gateway, line: Line) -> None:
    """After a stall, six seconds of each arrive at once: 30 s of audio, three times the limit of one speaker."""
    ids = [CALLER, *(f"4:+142555501{number}" for number in range(70, 74))]
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        for _ in range(300):
            for participant in ids:
                await acs.frame(bytes(960), participant=participant)
        await acs.tone("1")
        await eventually(lambda: line.said(Dtmf))
        assert acs.close_code is None


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


async def test_while_acs_sends_nothing_stamps_show_that_the_gateway_lives(gateway: Gateway, line: Line) -> None:
    """A relay that reads no entry for a second considers the gateway to be dead."""
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata()
        await acs.frame(bytes(640))
        await eventually(lambda: line.said(AudioFrame))
        for more in range(1, 4):
            await eventually(partial(line.has_said_at_least, Stamp, more), within_s=0.8)
