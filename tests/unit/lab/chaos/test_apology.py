"""The share of an apology in the audio that a caller heard."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from lab.chaos.apology import find_apology, recorded_apology
from lab.heard_audio import Samples

RATE_HZ = 16_000


def noise(seconds: float, seed: int = 1) -> Samples:
    return np.random.default_rng(seed).normal(0, 3000, int(seconds * RATE_HZ)).round()


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE_HZ))


def heard(*parts: Samples) -> Samples:
    return np.concatenate(parts)


SORRY = heard(noise(1.5), silence(0.6), noise(1.5, seed=2))


def test_a_whole_apology_is_found_after_other_sound() -> None:
    found = find_apology(heard(noise(2, seed=3), SORRY, silence(0.2)), RATE_HZ, SORRY, from_s=1.0)
    assert found.whole
    assert found.end_s == pytest.approx(5.6, abs=0.001)


def test_a_short_pause_within_the_apology_is_accepted() -> None:
    piece = len(SORRY) // 12
    late = heard(SORRY[: 3 * piece], silence(0.4), SORRY[3 * piece :])
    found = find_apology(late, RATE_HZ, SORRY, from_s=0.0)
    assert found.whole
    assert found.end_s == pytest.approx(4.0, abs=0.001)


def test_an_apology_that_was_cut_off_is_not() -> None:
    found = find_apology(SORRY[: -RATE_HZ // 20], RATE_HZ, SORRY, from_s=0.0)
    assert not found.whole
    assert found.share == pytest.approx(0.9)
    assert find_apology(SORRY[: RATE_HZ // 2], RATE_HZ, SORRY, from_s=0.0).share == pytest.approx(0.1)


def test_audio_before_the_fault_does_not_count() -> None:
    found = find_apology(heard(SORRY, silence(5)), RATE_HZ, SORRY, from_s=4.0)
    assert found.share == 0.0
    assert find_apology(silence(0.1), RATE_HZ, SORRY, from_s=0.0).share == 0.0


def test_a_long_pause_within_the_apology_is_not_accepted() -> None:
    half = len(SORRY) // 2
    assert find_apology(heard(SORRY[:half], silence(3), SORRY[half:]), RATE_HZ, SORRY, from_s=0.0).share == 0.5


def test_the_recording_is_the_gateways_own_up_to_its_last_sound(tmp_path: Path) -> None:
    shipped = recorded_apology(RATE_HZ)
    assert 3 < len(shipped) / RATE_HZ < 10
    assert np.abs(shipped[-RATE_HZ // 100 :]).max() > 30
    path = tmp_path / "sorry.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(24_000)
        wav.writeframes(np.concatenate([np.full(24_000, 500), np.zeros(24_000)]).astype("<i2").tobytes())
    assert len(recorded_apology(RATE_HZ, path)) == pytest.approx(RATE_HZ, abs=200)
