from __future__ import annotations

from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st

from lab.mark_text import frame_bytes, mark_base64
from lab.marks import MAX_CALL, MAX_SEQ, encode_mark


@given(call=st.integers(0, MAX_CALL), seq=st.integers(0, MAX_SEQ), rate_hz=st.sampled_from([16_000, 24_000]))
def test_the_text_is_that_of_the_mark(call: int, seq: int, rate_hz: int) -> None:
    assert mark_base64(call, seq, rate_hz) == b64encode(encode_mark(call, seq, rate_hz))


def test_frames_of_24_khz_can_be_joined_as_text() -> None:
    joined = b"".join(mark_base64(4, seq, 24_000) for seq in range(13))
    assert joined == b64encode(b"".join(encode_mark(4, seq, 24_000) for seq in range(13)))


def test_a_frame_is_20_ms() -> None:
    assert (frame_bytes(16_000), frame_bytes(24_000)) == (640, 960)
