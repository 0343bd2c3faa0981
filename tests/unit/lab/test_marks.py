from __future__ import annotations

from base64 import b64encode

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from lab.marks import MAX_CALL, MAX_SEQ, encode_mark, frame_bytes, mark_base64
from tests.support.mark_reader import Mark, MarkReader


@given(call=st.integers(0, MAX_CALL), seq=st.integers(0, MAX_SEQ - 3), rate_hz=st.sampled_from([16_000, 24_000]))
def test_marks_are_read_as_they_were_written(call: int, seq: int, rate_hz: int) -> None:
    pcm = b"".join(encode_mark(call, seq + i, rate_hz) for i in range(3))
    assert MarkReader(rate_hz).feed(pcm) == [Mark(call, seq + i) for i in range(3)]


@pytest.mark.parametrize("delay_samples", [0, 1, 7, 41, 200, 319])
@pytest.mark.parametrize("piece_bytes", [320, 640, 642, 3000])
def test_a_delay_and_any_piece_size_do_not_matter(delay_samples: int, piece_bytes: int) -> None:
    pcm = bytes(2 * delay_samples) + b"".join(encode_mark(5, i, 16_000) for i in range(50))
    reader = MarkReader(16_000)
    marks = [mark for i in range(0, len(pcm), piece_bytes) for mark in reader.feed(pcm[i : i + piece_bytes])]
    assert marks == [Mark(5, i) for i in range(50)]


@pytest.mark.parametrize(("from_hz", "to_hz"), [(16_000, 24_000), (24_000, 16_000)])
def test_marks_survive_resampling(from_hz: int, to_hz: int) -> None:
    pcm = b"".join(encode_mark(900, i, from_hz) for i in range(100))
    resampled = soxr.resample(np.frombuffer(pcm, dtype="<i2"), from_hz, to_hz).tobytes()
    assert MarkReader(to_hz).feed(resampled + bytes(3000))[:100] == [Mark(900, i) for i in range(100)]


def test_a_delay_of_two_ms_completes_a_mark_within_its_own_frame() -> None:
    reader = MarkReader(24_000)
    delayed = bytes(2 * 48) + b"".join(encode_mark(5, i, 24_000) for i in range(20))
    read = [reader.feed(delayed[i : i + 960]) for i in range(0, len(delayed) - 959, 960)]
    assert [len(marks) for marks in read[4:]] == [1] * len(read[4:])
    assert read[-1] == [Mark(5, len(read) - 1)]


def test_a_lost_frame_costs_only_itself() -> None:
    frames = [encode_mark(1, i, 16_000) for i in range(10) if i != 4]
    assert [mark.seq for mark in MarkReader(16_000).feed(b"".join(frames))] == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_the_reader_finds_its_place_again_after_a_shift() -> None:
    before = b"".join(encode_mark(1, i, 16_000) for i in range(5))
    after = b"".join(encode_mark(1, i, 16_000) for i in range(5, 20))
    seqs = [mark.seq for mark in MarkReader(16_000).feed(before + bytes(2 * 100) + after)]
    assert seqs[:5] == [0, 1, 2, 3, 4]
    assert seqs[-13:] == list(range(7, 20))


def test_silence_and_noise_have_no_marks() -> None:
    noise = np.random.default_rng(1).normal(0, 8000, 32_000).astype("<i2").tobytes()
    assert MarkReader(16_000).feed(bytes(64_000)) == []
    assert MarkReader(16_000).feed(noise) == []


@given(call=st.integers(0, MAX_CALL), seq=st.integers(0, MAX_SEQ), rate_hz=st.sampled_from([16_000, 24_000]))
def test_the_text_is_that_of_the_mark(call: int, seq: int, rate_hz: int) -> None:
    assert mark_base64(call, seq, rate_hz) == b64encode(encode_mark(call, seq, rate_hz))


def test_frames_of_24_khz_can_be_joined_as_text() -> None:
    joined = b"".join(mark_base64(4, seq, 24_000) for seq in range(13))
    assert joined == b64encode(b"".join(encode_mark(4, seq, 24_000) for seq in range(13)))


def test_a_frame_is_20_ms() -> None:
    assert (frame_bytes(16_000), frame_bytes(24_000)) == (640, 960)
