"""The compiled resampler gives the output of the one with numpy. Tests of both: test_resampler.py."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from libs.common.hatch_build import why_not
from media_gateway.core.resampler import Resampler

if line := why_not():
    pytest.skip(line, allow_module_level=True)

from media_gateway.core.compiled_resampler import CompiledResampler

Sound = Callable[[int], NDArray[np.float64]]

SAMPLES = 48_000
DIRECTIONS = pytest.mark.parametrize(
    ("from_hz", "to_hz"),
    [(16_000, 24_000), (24_000, 16_000), (16_000, 48_000), (48_000, 16_000), (24_000, 48_000), (48_000, 24_000)],
)


def _noise(seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-32_768, 32_767, SAMPLES)


def _syllables(seed: int) -> NDArray[np.float64]:
    """Synthetic speech: harmonics of a gliding pitch with varying level, noise, and pauses."""
    n = np.arange(SAMPLES)
    pitch = np.cumsum(120 + 40 * np.sin(n / 7000)) / 16_000 * 2 * np.pi
    voice = sum(np.sin(pitch * k) / k for k in range(1, 25))
    breath = np.random.default_rng(seed).normal(0, 0.05, SAMPLES)
    return np.asarray(12_000 * np.clip(np.sin(n / 1800), 0, 1) * (voice + breath))


def _square(seed: int) -> NDArray[np.float64]:
    return np.where(np.arange(SAMPLES) // (30 + seed) % 2, 32_767.0, -32_768.0)


def _pcm(samples: NDArray[np.float64]) -> bytes:
    return bytes(np.clip(np.rint(samples), -32_768, 32_767).astype("<i2").tobytes())


def _furthest(ours: bytes, theirs: bytes) -> int:
    """Return the largest difference in 16-bit steps, of signals of equal length."""
    assert len(ours) == len(theirs)
    apart = np.frombuffer(ours, "<i2").astype(int) - np.frombuffer(theirs, "<i2")
    return int(np.max(np.abs(apart), initial=0))


@DIRECTIONS
@pytest.mark.parametrize("sound", [_noise, _syllables, _square])
@pytest.mark.parametrize("seed", [1, 2])
def test_it_sounds_like_numpy_within_the_last_bit(sound: Sound, from_hz: int, to_hz: int, seed: int) -> None:
    pcm = _pcm(sound(seed))
    compiled, numpy = CompiledResampler(from_hz, to_hz), Resampler(from_hz, to_hz)
    assert compiled.delay_ms == numpy.delay_ms
    assert _furthest(compiled.feed(pcm) + compiled.flush(), numpy.feed(pcm) + numpy.flush()) <= 1


@DIRECTIONS
@given(cuts=st.lists(st.integers(0, 1500), max_size=30), ends=st.sets(st.integers(0, 30)), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_block_for_block_as_numpy(from_hz: int, to_hz: int, cuts: list[int], ends: set[int], seed: int) -> None:
    """Feeds equal block lengths; flushes after even numbers and resets after odd ones."""
    pcm = _pcm(_noise(seed))
    compiled, numpy = CompiledResampler(from_hz, to_hz), Resampler(from_hz, to_hz)
    at = 0
    for number, samples in enumerate([*cuts, 4000]):
        block = pcm[at : at + 2 * samples]
        at += 2 * samples
        assert _furthest(compiled.feed(block), numpy.feed(block)) <= 1
        if number in ends and number % 2 == 0:
            assert _furthest(compiled.flush(), numpy.flush()) <= 1
        elif number in ends:
            compiled.reset()
            numpy.reset()
    assert _furthest(compiled.flush(), numpy.flush()) <= 1


@DIRECTIONS
@given(cuts=st.lists(st.integers(0, 700), max_size=30), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_how_the_sound_is_cut_changes_not_a_bit(from_hz: int, to_hz: int, cuts: list[int], seed: int) -> None:
    pcm = _pcm(_noise(seed))[:20_000]
    whole, pieces = CompiledResampler(from_hz, to_hz), CompiledResampler(from_hz, to_hz)
    expected = whole.feed(pcm) + whole.flush()
    heard, at = b"", 0
    for samples in [*cuts, len(pcm)]:
        heard += pieces.feed(pcm[at : at + 2 * samples])
        at += 2 * samples
    assert heard + pieces.flush() == expected


def test_two_calls_do_not_hear_each_other() -> None:
    frames = [_pcm(_noise(3))[at : at + 640] for at in range(0, 12_800, 640)]
    alone, first, second = (CompiledResampler(16_000, 24_000) for _ in range(3))
    expected = [alone.feed(frame) for frame in frames]
    for frame, heard in zip(frames, expected, strict=True):
        assert first.feed(frame) == heard
        second.feed(frame[::-1])


def test_half_a_sample_changes_nothing_of_what_follows() -> None:
    frame = _pcm(_noise(4))[:640]
    resampler, expected = CompiledResampler(16_000, 24_000), CompiledResampler(16_000, 24_000)
    with pytest.raises(ValueError, match="within a sample"):
        resampler.feed(frame[:-1])
    assert resampler.feed(frame) == expected.feed(frame)


@pytest.mark.parametrize("wrong", [None, "text", 640, bytearray(640)])
def test_only_bytes_are_taken(wrong: object) -> None:
    with pytest.raises(TypeError):
        CompiledResampler(16_000, 24_000).feed(wrong)  # type: ignore[arg-type]


def test_a_call_keeps_little() -> None:
    """The taps are shared; each call has its own history."""
    assert sys.getsizeof(CompiledResampler(16_000, 24_000)) < 500
