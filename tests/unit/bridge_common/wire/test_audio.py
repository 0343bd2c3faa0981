"""Sizes and durations of PCM."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_common.wire.audio import (
    PHONE_RATE_HZ,
    VOICE_RATE_HZ,
    bytes_of_ms,
    frame_bytes,
    ms_of_bytes,
    silence,
)

RATES = st.sampled_from([PHONE_RATE_HZ, VOICE_RATE_HZ])


@pytest.mark.parametrize(("rate_hz", "count"), [(PHONE_RATE_HZ, 640), (VOICE_RATE_HZ, 960)])
def test_a_frame_has_the_size_that_acs_documents(rate_hz: int, count: int) -> None:
    assert frame_bytes(rate_hz) == count


@given(st.floats(0, 100_000), RATES)
def test_bytes_are_whole_samples_and_never_more_than_asked_for(ms: float, rate_hz: int) -> None:
    count = bytes_of_ms(ms, rate_hz)
    assert count % 2 == 0
    assert ms - 1000 / rate_hz - 1e-6 <= ms_of_bytes(count, rate_hz) <= ms + 1e-6


@given(st.integers(0, 10_000), RATES)
def test_whole_milliseconds_survive_the_round_trip(ms: int, rate_hz: int) -> None:
    assert ms_of_bytes(bytes_of_ms(ms, rate_hz), rate_hz) == ms


def test_silence_is_zeros_of_the_right_length() -> None:
    assert silence(20, PHONE_RATE_HZ) == bytes(640)
