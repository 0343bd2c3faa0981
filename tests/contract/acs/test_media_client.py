"""The media socket of the simulated ACS, tested from a server: frames, pace, accepted messages, faults."""

from __future__ import annotations

import base64
import itertools
import re
import statistics

import numpy as np
import pytest
from azure.communication.callautomation import AudioFormat, MediaStreamingAudioChannelType

from tests.contract.support.acs_stage import Json, MediaConnection, Stage, acs_stage
from tests.support.eventually import eventually


def audio(message: Json) -> Json:
    body = message["audioData"]
    assert isinstance(body, dict)
    return body


async def frames(media: MediaConnection, count: int) -> list[Json]:
    await eventually(lambda: len(media.of_kind("AudioData")) >= count, what=f"{count} frames")
    return [audio(message) for message in media.of_kind("AudioData")]


def tone(duration_s: float, rate_hz: int = 16_000) -> bytes:
    return np.full(int(duration_s * rate_hz), 6000, dtype="<i2").tobytes()


async def test_metadata_comes_first_and_frames_are_20_ms_of_the_callers_line(stage: Stage) -> None:
    await stage.connected(audio="silence")
    media = await stage.media.connection()
    first = (await frames(media, 5))[0]
    metadata = media.messages[0][1]
    assert metadata["kind"] == "AudioMetadata"
    body = metadata["audioMetadata"]
    assert isinstance(body, dict)
    assert body | {"subscriptionId": ""} == {
        "subscriptionId": "", "encoding": "PCM", "sampleRate": 16_000, "channels": 1, "length": 640,
    }  # fmt: skip
    assert list(first) == ["timestamp", "participantRawID", "data", "silent"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(first["timestamp"]))
    assert first["participantRawID"] == "4:+14255550100"
    noise = np.frombuffer(base64.b64decode(str(first["data"])), dtype="<i2").astype(float)
    assert len(noise) == 320
    assert 10 < np.sqrt((noise**2).mean()) < 30, "no telephone network delivers digital silence"
    assert first["silent"] is False


async def test_the_noise_floor_can_be_switched_off() -> None:
    async with acs_stage(noise_dbfs=None) as stage:
        await stage.connected(audio="silence")
        first = (await frames(await stage.media.connection(), 1))[0]
        assert base64.b64decode(str(first["data"])) == bytes(640)


async def test_frames_keep_the_pace_of_real_time(stage: Stage) -> None:
    await stage.connected(audio="silence")
    media = await stage.media.connection()
    await frames(media, 101)
    times = [t for t, message in media.messages if message["kind"] == "AudioData"][:101]
    assert 1.9 < times[100] - times[0] < 2.1
    assert 0.015 < statistics.median(b - a for a, b in itertools.pairwise(times)) < 0.025


async def test_the_mix_has_no_participant_and_24_khz_frames_are_960_bytes(stage: Stage) -> None:
    await stage.place(audio="silence")
    streaming = stage.streaming(audio_format=AudioFormat.PCM24_K_MONO, channel=MediaStreamingAudioChannelType.MIXED)
    await stage.client().answer_call(stage.context(), stage.callback_url, media_streaming=streaming)
    first = (await frames(await stage.media.connection(), 1))[0]
    assert "participantRawID" not in first
    assert len(base64.b64decode(str(first["data"]))) == 960


async def test_silence_is_flagged_when_the_settings_say_so() -> None:
    async with acs_stage(silent_flag=True) as stage:
        await stage.connected(audio="silence")
        first = (await frames(await stage.media.connection(), 1))[0]
        assert first["silent"] is True
        assert base64.b64decode(str(first["data"])) == bytes(640)


@pytest.mark.parametrize(
    "message",
    [
        '{"Kind":"AudioData","AudioData":{"Data":"%s"},"StopAudio":null}',
        '{"kind":"audioData","audioData":{"data":"%s","isSilent":false},"stopAudio":{}}',
        '{"KIND":"AUDIODATA","AUDIODATA":{"DATA":"%s"}}',
    ],
)
async def test_audio_is_understood_in_the_spelling_of_every_official_helper(stage: Stage, message: str) -> None:
    call_id, _ = await stage.connected()
    media = await stage.media.connection()
    await media.socket.send(message % base64.b64encode(tone(0.2)).decode())
    await stage.noted(call_id, "agent_starts")


async def test_stop_audio_drops_audio_that_was_not_heard(stage: Stage) -> None:
    call_id, _ = await stage.connected()
    media = await stage.media.connection()
    await media.say(tone(3.0))
    (starts,) = await stage.noted(call_id, "agent_starts")
    await media.stop_audio()
    (stopped,) = await stage.noted(call_id, "stop_audio")
    (ends,) = await stage.noted(call_id, "agent_ends")
    heard_s = float(str(ends["t"])) - float(str(starts["t"]))
    assert float(str(stopped["cleared_ms"])) / 1000 + heard_s == pytest.approx(3.0, abs=0.05)
    assert float(str(ends["t"])) == pytest.approx(float(str(stopped["t"])), abs=0.05)
    await media.say(tone(0.2))
    await stage.noted(call_id, "agent_starts", count=2)


async def test_audio_is_ignored_without_bidirectional_streaming(stage: Stage) -> None:
    call_id = await stage.place()
    await stage.client().answer_call(
        stage.context(), stage.callback_url, media_streaming=stage.streaming(bidirectional=False)
    )
    media = await stage.media.connection()
    await media.say(tone(0.2))

    async def ignored() -> bool:
        counters = (await stage.call(call_id))["counters"]
        return isinstance(counters, dict) and bool(counters.get("messages_ignored"))

    await eventually(ignored)
    await frames(media, 30)
    assert await stage.timeline(call_id, "agent_starts") == []


async def test_bad_messages_are_counted_and_harm_nothing(stage: Stage) -> None:
    call_id, _ = await stage.connected()
    media = await stage.media.connection()
    for bad in ("no json", "[]", '{"kind":"AudioData"}', '{"kind":"AudioData","audioData":{"data":"#"}}', "[" * 99999):
        await media.socket.send(bad)
    await media.send({"kind": "MarkData", "markData": {"id": "m1"}})
    await media.send({"kind": "AudioData", "audioData": {"data": base64.b64encode(bytes(3)).decode()}})
    await media.say(tone(0.2))
    await stage.noted(call_id, "agent_starts")
    counters = (await stage.call(call_id))["counters"]
    assert isinstance(counters, dict)
    assert (counters["malformed"], counters["unknown_kinds"]) == (6, 1)


async def test_faults_cut_refuse_and_send_odd_frames(stage: Stage) -> None:
    odd = [{"text": "not json"}, {"text": '{"kind":"MarkData"}'}, {"binary_base64": "AAEC"}]
    await stage.faults({"media": {"drop_after_s": 0.1, "odd_frames": odd, "times": 1}})
    call_id, _ = await stage.connected()
    (closed,) = await stage.noted(call_id, "media_closed")
    assert closed["code"] == 1006
    first, second = await stage.media.connection(), await stage.media.connection(2)
    assert (first.not_json, first.binary, len(first.of_kind("MarkData"))) == (1, 1, 1)
    await frames(second, 1)
    assert (second.not_json, second.binary) == (0, 0)
    await stage.faults({"media": {"refuse": True}})
    refused, _ = await stage.connected()
    await stage.noted(refused, "media_streaming_failed")
    assert len(stage.media.connections) == 2


async def test_marks_are_sent_every_20_ms_and_read_from_received_audio(stage: Stage) -> None:
    call_id, _ = await stage.connected(audio="marks", mark=77)
    media = await stage.media.connection()
    for frame in await frames(media, 20):
        await media.send({"kind": "AudioData", "audioData": {"data": frame["data"]}})

    async def marks() -> Json:
        answer: Json = (await stage.lab.get(f"/lab/calls/{call_id}/marks")).json()
        heard = answer["heard"]
        assert isinstance(heard, list)
        return answer if len(heard) >= 15 else {}

    answer = await eventually(marks)
    sent, heard = answer["sent"], answer["heard"]
    assert isinstance(sent, list)
    assert isinstance(heard, list)
    assert [seq for seq, _ in sent] == list(range(len(sent)))
    assert [(call, seq) for call, seq, _ in heard] == [(77, heard[0][1] + n) for n in range(len(heard))]
    assert all(t_heard > dict(sent)[seq] for _, seq, t_heard in heard)
