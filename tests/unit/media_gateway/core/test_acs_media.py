"""The ACS media codec on the documented messages, in any case, and on invalid ones."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_common.base.errors import FrameError
from media_gateway.core.acs_media import (
    MESSAGE_LIMIT_BYTES,
    STOP_AUDIO,
    AudioData,
    AudioMetadata,
    DtmfData,
    UnknownMessage,
    decode,
    encode_audio,
)
from tests.support.fuzzing import inputs, survives

PCM = bytes(range(256)) * 2 + bytes(128)
METADATA = (
    '{"kind":"AudioMetadata","audioMetadata":{"subscriptionId":"89e8cb59-b991-48b0-b154-1db84f16a077",'
    '"encoding":"PCM","sampleRate":24000,"channels":1,"length":960}}'
)
CALLER = "4:+14255550100"
TIMESTAMP = "2026-11-22T05:00:02.925Z"
DTMF = '{"kind":"DtmfData","dtmfData":{"data":"3"}}'


def audio(pcm: bytes, *, silent: bool = False) -> str:
    body = {
        "timestamp": TIMESTAMP,
        "participantRawID": CALLER,
        "data": base64.b64encode(pcm).decode(),
        "silent": silent,
    }
    return json.dumps({"kind": "AudioData", "audioData": body}, separators=(",", ":"))


def test_reads_the_metadata() -> None:
    assert decode(METADATA) == AudioMetadata(rate_hz=24_000, encoding="PCM", channels=1)


def test_reads_a_frame() -> None:
    assert decode(audio(PCM)) == AudioData(pcm=PCM, silent=False, participant=CALLER, timestamp=TIMESTAMP)


@pytest.mark.parametrize("data", ['"data":"",', '"data":null,', ""])
def test_a_silent_frame_may_come_without_data(data: str) -> None:
    message = decode('{"kind":"AudioData","audioData":{"timestamp":"t",' + data + '"silent":true}}')
    assert message == AudioData(pcm=b"", silent=True, participant="", timestamp="t")


def test_reads_a_tone() -> None:
    assert decode(DTMF) == DtmfData("3")


@pytest.mark.parametrize("name", ["participantRawID", "ParticipantRawId", "participant"])
def test_a_tone_may_name_the_person_who_pressed_the_key(name: str) -> None:
    assert decode(f'{{"kind":"DtmfData","dtmfData":{{"data":"#","{name}":"{CALLER}"}}}}') == DtmfData("#", CALLER)
    assert decode(f'{{"kind":"DtmfData","dtmfData":{{"data":"#","{name}":null}}}}') == DtmfData("#")


def test_unknown_kinds_are_named_not_refused() -> None:
    assert decode('{"kind":"MarkData","markData":{"id":"m1","status":"Completed"}}') == UnknownMessage("MarkData")


@pytest.mark.parametrize("change", [str.upper, str.lower, str.swapcase])
@pytest.mark.parametrize("sample", [METADATA, DTMF, audio(PCM)])
def test_keys_and_kinds_in_any_case(sample: str, change: type[str]) -> None:
    def recased(value: object, under: str = "") -> object:
        if isinstance(value, dict):
            return {change(key): recased(inner, key) for key, inner in value.items()}
        return change(value) if under == "kind" and isinstance(value, str) else value

    assert decode(json.dumps(recased(json.loads(sample)))) == decode(sample)


def test_key_order_and_white_space_do_not_matter() -> None:
    body = json.loads(audio(PCM))
    reordered = {"audioData": dict(reversed(body["audioData"].items())), "kind": "AudioData"}
    assert decode("\n " + json.dumps(reordered, indent=2) + " ") == decode(audio(PCM))


@pytest.mark.parametrize(
    "message",
    [
        b"\x00\x01",
        audio(PCM).encode().replace(b"4:+", b"\xff"),
        "",
        "no json",
        "[]",
        "1",
        "null",
        "{}",
        '{"kind":1}',
        '{"kind":"AudioData"}',
        '{"kind":"AudioData","audioData":[]}',
        '{"kind":"AudioData","audioData":{"silent":false}}',
        '{"kind":"AudioData","audioData":{"data":"","silent":false}}',
        '{"kind":"AudioData","audioData":{"data":"AAA=","silent":"no"}}',
        '{"kind":"AudioData","audioData":{"data":17,"silent":true}}',
        '{"kind":"AudioData","audioData":{"data":"AAA","silent":false}}',
        '{"kind":"AudioData","audioData":{"data":"A*A=","silent":false}}',
        '{"kind":"AudioData","audioData":{"data":"\\u00e9AA=","silent":false}}',
        audio(b"\x01\x02\x03"),
        METADATA.replace("24000", '"24000"'),
        METADATA.replace("24000", "true"),
        METADATA.replace("24000", "24000.5"),
        METADATA.replace('"PCM"', "7"),
        '{"kind":"AudioMetadata"}',
        DTMF.replace('"3"', '"three"'),
        DTMF.replace('"3"', '""'),
        DTMF.replace('"3"', '"\\ud800"'),
        DTMF.replace('"3"', "3"),
        audio(PCM) + "{}",
        "[" * 30_000,
        audio(bytes(MESSAGE_LIMIT_BYTES)),
    ],
    ids=lambda message: str(message)[:60],
)
def test_refuses_what_acs_would_not_send(message: str | bytes) -> None:
    with pytest.raises(FrameError):
        decode(message)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("24000", '"fast"', '`sampleRate` of AudioMetadata must be an integer, got "fast"'),
        ("24000", "{}", "`sampleRate` of AudioMetadata must be an integer, got an object"),
        ('"PCM"', "[7]", "`encoding` of AudioMetadata must be a string, got an array"),
        ("24000", f'"{"9" * 100}"', f'`sampleRate` of AudioMetadata must be an integer, got "{"9" * 39}'),
    ],
)
def test_an_error_in_the_metadata_contains_the_field_and_its_value(old: str, new: str, fault: str) -> None:
    with pytest.raises(FrameError) as caught:
        decode(METADATA.replace(old, new))
    assert caught.value.message == fault


def test_the_limit_is_64_kb() -> None:
    sample = audio(PCM)
    assert isinstance(decode(sample + " " * (MESSAGE_LIMIT_BYTES - 1 - len(sample))), AudioData)
    with pytest.raises(FrameError):
        decode(sample + " " * (MESSAGE_LIMIT_BYTES - len(sample)))


def test_sends_the_documented_form() -> None:
    assert json.loads(encode_audio(b"\x01\x02")) == {
        "Kind": "AudioData",
        "AudioData": {"Data": "AQI="},
        "StopAudio": None,
    }
    assert encode_audio(b"") == b'{"Kind":"AudioData","AudioData":{"Data":""},"StopAudio":null}'
    assert STOP_AUDIO == b'{"Kind":"StopAudio","AudioData":null,"StopAudio":{}}'


@given(st.binary(min_size=1, max_size=2000).map(lambda pcm: pcm * 2))
def test_round_trip(pcm: bytes) -> None:
    sent = decode(encode_audio(pcm))
    heard = decode(audio(pcm))
    assert isinstance(sent, AudioData)
    assert isinstance(heard, AudioData)
    assert sent.pcm == heard.pcm == pcm


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.dictionaries(st.text(), x)))
def test_any_json_is_decoded_or_refused(value: object) -> None:
    for wrapped in (value, {"kind": "AudioData", "audioData": value}, {"Kind": "DtmfData", "dtmfData": value}):
        try:
            decode(json.dumps(wrapped))
        except FrameError:
            continue


@pytest.mark.timeout(300)
def test_survives_mutated_messages() -> None:
    short = audio(PCM[:12])
    samples = [
        METADATA,
        DTMF,
        short,
        short,
        audio(PCM[:30], silent=True),
        encode_audio(PCM[:20]).decode(),
        STOP_AUDIO.decode(),
    ]
    decoded, refused = survives(decode, samples, FrameError)
    assert min(decoded, refused) > inputs() // 20, "the mutations should hit both ways"
