"""The fast path of a plain frame (acs_frame.h) gives the result of `acs_media` and the resampler, or none."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libs.common.hatch_build import why_not
from media_gateway.core.acs_media import AudioData, decode
from media_gateway.core.rate_change import rate_change
from media_gateway.core.resampler import Resampler

if line := why_not():
    pytest.skip(line, allow_module_level=True)

from media_gateway.core.compiled_resampler import CompiledResampler

PCM: Final = bytes(range(256)) * 2 + bytes(range(128))
MEMBERS: Final = {
    "timestamp": "2026-11-28T01:02:03.456Z",
    "participantRawID": "4:+14255550100",
    "data": base64.b64encode(PCM).decode(),
    "silent": False,
}


def message(**members: object) -> bytes:
    return json.dumps({"kind": "AudioData", "audioData": members}, separators=(",", ":"), ensure_ascii=False).encode()


PLAIN: Final = message(**MEMBERS)


def heard(text: bytes, rate_hz: int = 16_000) -> bytes | None:
    return CompiledResampler(rate_hz, 24_000).feed_message(memoryview(text))


def expected(text: bytes, rate_hz: int = 16_000) -> bytes:
    audio = decode(text)
    assert isinstance(audio, AudioData)
    return CompiledResampler(rate_hz, 24_000).feed(bytes(len(audio.pcm)) if audio.silent else audio.pcm)


@pytest.mark.parametrize("names", list(itertools.permutations(MEMBERS)))
def test_a_plain_frame_is_heard_whatever_the_order_of_its_members(names: tuple[str, ...]) -> None:
    text = message(**{name: MEMBERS[name] for name in names})
    assert heard(text) == expected(text) != b""


@pytest.mark.parametrize("missing", ["timestamp", "participantRawID", "silent"])
def test_all_but_the_sound_may_be_missing(missing: str) -> None:
    text = message(**{name: value for name, value in MEMBERS.items() if name != missing})
    assert heard(text) == expected(text)


def test_what_is_said_to_be_silent_is_silent() -> None:
    text = message(**MEMBERS | {"silent": True})
    assert heard(text) == expected(text) == bytes(960)


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_a_frame_lasts_20_ms_at_every_rate(rate_hz: int) -> None:
    text = message(data=base64.b64encode(bytes(n % 251 for n in range(rate_hz // 50 * 2))).decode())
    assert heard(text, rate_hz) == expected(text, rate_hz)
    assert heard(text, 64_000 - rate_hz) is None


def test_a_frame_is_read_without_resampling_too() -> None:
    pcm = bytes(n % 251 for n in range(960))
    text = message(data=base64.b64encode(pcm).decode())
    assert rate_change(24_000, 24_000).feed_message(memoryview(text)) == pcm
    assert rate_change(16_000, 16_000).feed_message(memoryview(text)) is None
    assert rate_change(24_000, 24_000).feed_message(memoryview(PLAIN)) is None


def test_the_sound_flows_on_from_one_way_to_the_other() -> None:
    mixed, plain = CompiledResampler(16_000, 24_000), CompiledResampler(16_000, 24_000)
    for seed in range(6):
        pcm = bytes((n * (seed + 3)) % 256 for n in range(640))
        text = message(data=base64.b64encode(pcm).decode())
        if seed % 2:
            assert mixed.feed(pcm) == plain.feed(pcm)
        else:
            assert mixed.feed_message(memoryview(text)) == plain.feed(pcm)
    assert mixed.flush() == plain.flush()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        json.dumps(json.loads(PLAIN)).encode(),
        PLAIN.replace(b"AudioData", b"AudioMetadata"),
        PLAIN.replace(b"kind", b"Kind"),
        PLAIN + b" ",
        PLAIN[:-1],
        PLAIN.replace(b'"silent":false', b'"silent":null'),
        PLAIN.replace(b'"silent"', b'"sequence"'),
        PLAIN.replace(b'"silent":false', b'"silent":false,"silent":false'),
        PLAIN.replace(b"4:", b"\\u0034:"),
        PLAIN.replace(b"4:", "Ä:".encode()),
        message(data=base64.b64encode(PCM[:-2]).decode()),
        message(data=base64.b64encode(PCM + PCM[:2]).decode()),
        message(data=base64.b64encode(PCM).decode().rstrip("=")),
        message(data=base64.b64encode(PCM).decode().replace("A", "-", 1)),
        message(silent=True),
    ],
)
def test_everything_else_is_left_alone(text: bytes) -> None:
    resampler = CompiledResampler(16_000, 24_000)
    assert resampler.feed_message(memoryview(text)) is None
    assert resampler.feed(PCM) == CompiledResampler(16_000, 24_000).feed(PCM), "nothing was fed"


def test_only_frames_of_the_named_speaker_are_processed() -> None:
    unnamed = message(**{name: value for name, value in MEMBERS.items() if name != "participantRawID"})
    resampler = CompiledResampler(16_000, 24_000)
    for speaker in (b"4:+1425555010", b"4:+142555501000", b"4:+14255550101", b""):
        assert resampler.feed_message(memoryview(PLAIN), speaker) is None
    assert resampler.feed_message(memoryview(unnamed), b"4:+14255550100") is None
    assert resampler.feed_message(memoryview(PLAIN), b"4:+14255550100") == expected(PLAIN), "nothing was fed before"
    assert CompiledResampler(16_000, 24_000).feed_message(memoryview(unnamed), b"") == expected(unnamed)


def test_a_message_may_end_anywhere() -> None:
    assert [length for length in range(len(PLAIN) + 1) if heard(PLAIN[:length]) is not None] == [len(PLAIN)]


@given(
    st.lists(st.tuples(st.integers(0, len(PLAIN) - 1), st.one_of(st.integers(0, 255), st.none())), max_size=3),
    st.binary(max_size=3),
)
@example([(PLAIN.index(b'","silent') - 1, ord("A"))], b"")  # another last digit in place of the padding
@example([(PLAIN.index(b'","silent') - 2, ord("B"))], b"")  # bits beyond the last byte
def test_what_is_heard_of_damaged_messages_is_what_they_say(damage: list[tuple[int, int | None]], end: bytes) -> None:
    text = bytearray(PLAIN)
    for at, value in damage:
        if value is None:
            del text[at : at + 1]
        elif at < len(text):
            text[at] = value
    pcm = heard(bytes(text + end))
    assert pcm is None or pcm == expected(bytes(text + end))


def test_where_nothing_is_compiled_every_message_goes_the_long_way() -> None:
    assert Resampler(16_000, 24_000).feed_message(memoryview(PLAIN)) is None
