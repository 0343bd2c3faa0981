from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from azure.communication.callautomation import DtmfTone
from hypothesis import given
from hypothesis import strategies as st

from lab.acs.media_codec import (
    DTMF_CHARACTERS,
    DTMF_WORDS,
    AudioEncoder,
    AudioIn,
    Malformed,
    StopAudio,
    UnknownFrame,
    decode,
    encode_dtmf,
    encode_metadata,
    encode_timestamp,
    encode_unix_time,
)

PCM = bytes(range(256)) * 5
DATA = base64.b64encode(PCM).decode()


@pytest.mark.parametrize(
    "message",
    [
        {"Kind": "AudioData", "AudioData": {"Data": DATA}, "StopAudio": None},
        {"Kind": "AudioData", "AudioData": {"Data": DATA}},
        {
            "Kind": "AudioData",
            "AudioData": {
                "Data": DATA,
                "Timestamp": "0001-01-01T00:00:00+00:00",
                "Participant": None,
                "IsSilent": False,
            },
            "StopAudio": None,
        },
        {"kind": "audioData", "audioData": {"data": DATA, "isSilent": False}, "stopAudio": {}},
        {"kind": "AudioData", "audioData": {"data": DATA}},
    ],
)
def test_audio_in_the_forms_of_all_official_helpers(message: dict[str, object]) -> None:
    assert decode(json.dumps(message).encode()) == AudioIn(PCM)


@pytest.mark.parametrize(
    "message",
    [
        {"Kind": "StopAudio", "AudioData": None, "StopAudio": {}},
        {"kind": "stopAudio", "stopAudio": {}},
        {"kind": "StopAudio"},
    ],
)
def test_stop_audio_goes_by_the_kind_alone(message: dict[str, object]) -> None:
    assert decode(json.dumps(message).encode()) == StopAudio()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "the message is not valid JSON"),
        (b"\xff", "the message is not valid JSON"),
        (b"[" * 200_000, "the message is not valid JSON"),
        (b"[]", "`kind` is missing or not a string"),
        (b'{"kind": 1}', "`kind` is missing or not a string"),
        (b'{"kind": "AudioData"}', "`audioData.data` is missing or not a string"),
        (b'{"kind": "AudioData", "audioData": {"data": null}}', "`audioData.data` is missing or not a string"),
        (b'{"kind": "AudioData", "audioData": {"data": "#!"}}', "`audioData.data` is not valid base64"),
        ('{"kind": "AudioData", "audioData": {"data": "é"}}'.encode(), "`audioData.data` is not valid base64"),
        (
            b'{"kind": "AudioData", "audioData": {"data": "AAAA"}}',
            "`audioData.data` has an odd number of bytes; a sample has two",
        ),
    ],
)
def test_malformed_messages_have_a_reason(message: bytes, reason: str) -> None:
    assert decode(message) == Malformed(reason)


def test_unknown_kinds_are_named() -> None:
    assert decode(b'{"kind": "MarkData"}') == UnknownFrame("MarkData")


@given(
    st.one_of(st.binary(), st.text().map(str.encode), st.binary().map(base64.b64encode)),
)
def test_the_fast_path_for_documented_audio_gives_the_same_result(data: bytes) -> None:
    usual = b'{"Kind":"AudioData","AudioData":{"Data":"' + data + b'"},"StopAudio":null}'
    spelt_otherwise = b'{"KIND":"AudioData","AudioData":{"Data":"' + data + b'"},"StopAudio":null}'
    if isinstance(decode(spelt_otherwise), AudioIn):
        assert decode(usual) == decode(spelt_otherwise)
    else:
        assert isinstance(decode(usual), Malformed)


@given(st.one_of(st.binary(), st.text().map(str.encode)))
def test_the_decoder_accepts_any_bytes(message: bytes) -> None:
    decode(message)


def test_encoded_audio_has_the_keys_in_the_documented_case_and_order() -> None:
    at = encode_timestamp(datetime(2026, 11, 22, 5, 0, 2, 925_999, tzinfo=UTC))
    message = AudioEncoder("4:+14255550100").encode(PCM, at)
    assert json.loads(message) == {
        "kind": "AudioData",
        "audioData": {
            "timestamp": "2026-11-22T05:00:02.925Z",
            "participantRawID": "4:+14255550100",
            "data": DATA,
            "silent": False,
        },
    }
    mixed = json.loads(AudioEncoder("").encode(b"", at, silent=True))["audioData"]
    assert mixed == {"timestamp": "2026-11-22T05:00:02.925Z", "data": "", "silent": True}


@pytest.mark.parametrize(("rate_hz", "length"), [(16_000, 640), (24_000, 960)])
def test_metadata_and_tones(rate_hz: int, length: int) -> None:
    assert json.loads(encode_metadata("sub", rate_hz)) == {
        "kind": "AudioMetadata",
        "audioMetadata": {
            "subscriptionId": "sub", "encoding": "PCM", "sampleRate": rate_hz, "channels": 1, "length": length,
        },
    }  # fmt: skip
    assert json.loads(encode_dtmf("#")) == {"kind": "DtmfData", "dtmfData": {"data": "#"}}


def test_audio_that_is_base64_already_makes_the_same_message() -> None:
    encoder, at = AudioEncoder(""), b"t"
    assert encoder.encode_base64(DATA.encode(), at) == encoder.encode(PCM, at)


@pytest.mark.parametrize("spaces", [(",", ":"), (", ", ": ")])
def test_both_fast_paths_check_base64(spaces: tuple[str, str]) -> None:
    for data, read in (
        (DATA, AudioIn(PCM)),
        ("?", Malformed("`audioData.data` is not valid base64")),
        ('A"', Malformed("`audioData.data` is not valid base64")),
    ):
        text = json.dumps({"Kind": "AudioData", "AudioData": {"Data": data}, "StopAudio": None}, separators=spaces)
        assert decode(text.encode()) == read


def test_unix_seconds_are_written_like_other_times() -> None:
    at = datetime(2026, 11, 22, 5, 0, 2, 925_000, tzinfo=UTC)
    assert encode_unix_time(at.timestamp() + 0.0001) == encode_timestamp(at)


def test_every_tone_of_the_sdk_has_a_character() -> None:
    assert set(DTMF_CHARACTERS) == {tone.value for tone in DtmfTone}


def test_words_and_characters_are_each_others_inverse() -> None:
    assert set(DTMF_WORDS) == set("0123456789ABCD*#")
    assert all(DTMF_CHARACTERS[word] == character for character, word in DTMF_WORDS.items())
