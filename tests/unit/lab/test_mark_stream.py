"""`MarkStream` reads the same marks as the reference, `MarkReader`."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.mark_stream import MarkStream
from lab.marks import MAX_CALL, MAX_SEQ, encode_mark
from tests.support.mark_reader import MarkReader


def marks(call: int, seqs: range, rate_hz: int = 16_000) -> bytes:
    return b"".join(encode_mark(call, seq, rate_hz) for seq in seqs)


@settings(deadline=None)
@given(call=st.integers(0, MAX_CALL), seq=st.integers(0, MAX_SEQ - 3), rate_hz=st.sampled_from([16_000, 24_000]))
def test_marks_are_read_as_they_were_written(call: int, seq: int, rate_hz: int) -> None:
    assert MarkStream(rate_hz).feed(marks(call, range(seq, seq + 3), rate_hz)) == [(call, seq + i) for i in range(3)]


@pytest.mark.parametrize("delay_samples", [0, 1, 7, 41, 200, 319])
@pytest.mark.parametrize("piece_bytes", [320, 640, 642, 3000])
def test_a_delay_is_measured_and_any_piece_size_read(delay_samples: int, piece_bytes: int) -> None:
    pcm = bytes(2 * delay_samples) + marks(5, range(50))
    stream = MarkStream(16_000)
    pieces = [pcm[i : i + piece_bytes] for i in range(0, len(pcm), piece_bytes)]
    assert [mark for piece in pieces for mark in stream.feed(piece)] == [(5, i) for i in range(50)]
    assert stream.shift_ms == delay_samples / 16


@pytest.mark.parametrize(("from_hz", "to_hz"), [(16_000, 24_000), (24_000, 16_000)])
def test_marks_survive_resampling(from_hz: int, to_hz: int) -> None:
    samples = np.frombuffer(marks(900, range(100), from_hz), dtype="<i2")
    stream = MarkStream(to_hz)
    resampled = soxr.resample(samples, from_hz, to_hz).tobytes()
    assert stream.feed(resampled + bytes(3000))[:100] == [(900, i) for i in range(100)]
    assert stream.shift_ms is not None
    assert min(stream.shift_ms, 20 - stream.shift_ms) < 0.1


def test_a_delay_of_two_ms_completes_a_mark_within_its_own_frame() -> None:
    stream = MarkStream(24_000)
    delayed = bytes(2 * 48) + marks(5, range(20), 24_000)
    read = [stream.feed(delayed[i : i + 960]) for i in range(0, len(delayed) - 959, 960)]
    assert [len(found) for found in read[4:]] == [1] * len(read[4:])


def test_a_lost_frame_costs_only_itself() -> None:
    pcm = marks(1, range(4)) + marks(1, range(5, 10))
    assert [seq for _, seq in MarkStream(16_000).feed(pcm)] == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_the_place_is_found_again_after_a_shift() -> None:
    pcm = marks(1, range(5)) + bytes(2 * 100) + marks(1, range(5, 20))
    seqs = [seq for _, seq in MarkStream(16_000).feed(pcm)]
    assert seqs[:5] == [0, 1, 2, 3, 4]
    assert seqs[-13:] == list(range(7, 20))


@settings(deadline=None, max_examples=60)
@given(pieces=st.lists(st.one_of(st.integers(0, 1200), st.binary(max_size=400)), max_size=12))
def test_any_audio_gives_the_marks_of_the_reference_reader(pieces: list[int | bytes]) -> None:
    seq, pcm = 0, b""
    for piece in pieces:
        if isinstance(piece, bytes):
            pcm += piece[: len(piece) & ~1]
        else:
            pcm += marks(8, range(seq, seq + 4))[: 2 * piece]
            seq += 4
    pcm += marks(8, range(seq, seq + 6))
    reference = [(mark.call, mark.seq) for mark in MarkReader(16_000).feed(pcm)]
    assert set(MarkStream(16_000).feed(pcm)) >= set(reference[-3:])


def test_silence_has_no_marks() -> None:
    assert MarkStream(16_000).feed(bytes(64_000)) == []
