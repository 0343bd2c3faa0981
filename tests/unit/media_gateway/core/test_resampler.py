"""The resampler, with numpy and compiled: quality, delay, sample counts, no seams, no wrapping."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from media_gateway.core.rate_change import RESAMPLER, RateChange
from media_gateway.core.resampler import Resampler

Samples = NDArray[np.float64]
Maker = Callable[[int, int], RateChange]
UP, DOWN = (16_000, 24_000), (24_000, 16_000)
DIRECTIONS = pytest.mark.parametrize(("from_hz", "to_hz"), [UP, DOWN], ids=["16to24", "24to16"])
MAKERS = {"numpy": Resampler, "compiled": RESAMPLER} if RESAMPLER is not Resampler else {"numpy": Resampler}
BOTH = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
"""With the compiled one if it was built; tests/repo/test_compiled.py checks that it was."""


def tone(hz: float, rate_hz: int, seconds: float = 1.0, level: float = 0.9) -> bytes:
    n = np.arange(int(rate_hz * seconds))
    return bytes(np.rint(level * 32767 * np.sin(2 * np.pi * hz * n / rate_hz)).astype("<i2").tobytes())


def in_frames(resampler: RateChange, pcm: bytes, frame_bytes: int) -> Samples:
    out = b"".join(resampler.feed(pcm[at : at + frame_bytes]) for at in range(0, len(pcm), frame_bytes))
    return np.frombuffer(out, "<i2").astype(np.float64)


def settled(out: Samples, rate_hz: int) -> Samples:
    return out[rate_hz // 50 :]


def fit(out: Samples, hz: float, rate_hz: int) -> tuple[float, Samples]:
    """Amplitude of a tone in `out`, and the residual."""
    n = np.arange(len(out))
    basis = np.stack([np.sin(2 * np.pi * hz * n / rate_hz), np.cos(2 * np.pi * hz * n / rate_hz)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, out)
    return float(np.hypot(*weights)), out - basis @ weights


@BOTH
@DIRECTIONS
@pytest.mark.parametrize("hz", [100, 300, 440, 1000, 2500, 3400, 5000, 6000, 6500])
def test_tones_keep_80_db_of_distance_to_everything_else(make: Maker, from_hz: int, to_hz: int, hz: int) -> None:
    out = settled(in_frames(make(from_hz, to_hz), tone(hz, from_hz), from_hz // 25), to_hz)
    amplitude, rest = fit(out, hz, to_hz)
    assert 20 * math.log10(amplitude / (0.9 * 32767)) == pytest.approx(0, abs=0.01)
    assert 10 * math.log10(amplitude**2 / 2 / np.mean(rest**2)) >= 80


@BOTH
@pytest.mark.parametrize("hz", [8010, 8200, 8500, 9000, 9900, 10_500, 11_900])
def test_what_the_phone_rate_cannot_carry_is_gone(make: Maker, hz: int) -> None:
    out = settled(in_frames(make(*DOWN), tone(hz, 24_000), 960), 16_000)
    assert 20 * math.log10(max(np.max(np.abs(out)), 1e-9) / (0.9 * 32767)) <= -70


@BOTH
@pytest.mark.parametrize("hz", [100, 1000, 3400, 5000, 6500, 7000, 7500, 7900])
def test_no_image_above_the_old_half_rate(make: Maker, hz: int) -> None:
    out = settled(in_frames(make(*UP), tone(hz, 16_000), 640), 24_000)
    window = np.blackman(len(out))
    spectrum = np.abs(np.fft.rfft(out * window)) / window.sum() * 2
    above = spectrum[np.arange(len(spectrum)) * 24_000 / len(out) > 8050]
    assert 20 * math.log10(np.max(above) / (0.9 * 32767)) <= -70


@BOTH
@DIRECTIONS
def test_a_frame_in_is_a_frame_out_at_once(make: Maker, from_hz: int, to_hz: int) -> None:
    resampler = make(from_hz, to_hz)
    for _ in range(5):
        assert len(resampler.feed(bytes(from_hz // 50 * 2))) == to_hz // 50 * 2


@BOTH
@DIRECTIONS
def test_the_delay_is_as_stated_and_below_2_ms(make: Maker, from_hz: int, to_hz: int) -> None:
    resampler = make(from_hz, to_hz)
    impulse = np.zeros(from_hz // 10, "<i2")
    impulse[from_hz // 20] = 30_000
    out = in_frames(resampler, impulse.tobytes(), from_hz // 25)
    centre_s = float(np.sum(np.arange(len(out)) * out) / np.sum(out)) / to_hz
    assert (centre_s - 0.05) * 1000 == pytest.approx(resampler.delay_ms, abs=0.03)
    assert resampler.delay_ms <= 2


@BOTH
@DIRECTIONS
@given(cuts=st.lists(st.integers(0, 700), max_size=30), seed=st.integers(0, 1000))
@settings(deadline=None)
def test_how_the_sound_is_cut_changes_nothing(
    make: Maker, from_hz: int, to_hz: int, cuts: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pcm = rng.integers(-20_000, 20_000, 3000).astype("<i2").tobytes()
    whole = make(from_hz, to_hz)
    expected = whole.feed(pcm) + whole.flush()
    pieces, resampler, at = b"", make(from_hz, to_hz), 0
    for samples in [*cuts, 3000]:
        pieces += resampler.feed(pcm[at : at + 2 * samples])
        at += 2 * samples
    pieces += resampler.flush()
    difference = np.frombuffer(pieces, "<i2").astype(int) - np.frombuffer(expected, "<i2")
    assert np.max(np.abs(difference)) <= 1, "only rounding of the last bit may differ"


@BOTH
@DIRECTIONS
@pytest.mark.parametrize("samples", [0, 1, 2, 3, 319, 480, 1001, 40_000])
def test_flush_brings_out_all_that_went_in(make: Maker, from_hz: int, to_hz: int, samples: int) -> None:
    resampler = make(from_hz, to_hz)
    out = (len(resampler.feed(bytes(2 * samples))) + len(resampler.flush())) / 2
    exact = samples * to_hz / from_hz + resampler.delay_ms / 1000 * to_hz
    assert exact <= out <= exact + 4
    assert resampler.feed(bytes(from_hz // 25)) == bytes(to_hz // 25)


@BOTH
@DIRECTIONS
def test_clipping_instead_of_wrapping(make: Maker, from_hz: int, to_hz: int) -> None:
    square = np.where(np.arange(from_hz) // 40 % 2, 32767, -32768).astype("<i2").tobytes()
    out = in_frames(make(from_hz, to_hz), square, from_hz // 25)
    assert np.max(out) == 32767
    assert np.min(out) == -32768
    assert np.max(np.abs(np.diff(settled(out, to_hz)))) < 65_000, "a wrapped sample jumps over the whole range"


@BOTH
@DIRECTIONS
def test_after_reset_nothing_of_the_old_sound_is_left(make: Maker, from_hz: int, to_hz: int) -> None:
    resampler = make(from_hz, to_hz)
    resampler.feed(tone(1000, from_hz, 0.101)[:-2])
    resampler.reset()
    assert not any(resampler.feed(bytes(from_hz // 25)))


@BOTH
@pytest.mark.parametrize(("from_hz", "to_hz"), [(8_000, 24_000), (44_100, 24_000), (24_000, 8_000)])
def test_other_rates_are_refused(make: Maker, from_hz: int, to_hz: int) -> None:
    with pytest.raises(ValueError, match="unsupported conversion"):
        make(from_hz, to_hz)


@BOTH
@DIRECTIONS
@pytest.mark.parametrize("pcm", [b"\0", bytes(641), bytes(100_001)])
def test_half_a_sample_is_refused(make: Maker, from_hz: int, to_hz: int, pcm: bytes) -> None:
    with pytest.raises(ValueError, match=r"multiple of element size|ends within a sample"):
        make(from_hz, to_hz).feed(pcm)
