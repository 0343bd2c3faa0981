from __future__ import annotations

import numpy as np
import pytest

from lab.acs.hearing import Hearing
from lab.acs.noise import NoiseFloor
from lab.acs.settings import AcsSettings
from lab.heard_audio import SILENCE_RMS, last_sound_s, sound_ms
from lab.speech import synthesize
from lab.voice_live.turn_detection import DetectedSpeechStart, TurnDetector, TurnRules

DEFAULT_DBFS = AcsSettings().noise_dbfs


def _samples(frame: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.frombuffer(frame, "<i2").astype(np.float64)


@pytest.mark.parametrize("rate_hz", [16_000, 24_000])
@pytest.mark.parametrize("dbfs", [-65.0, -40.0])
def test_the_level_is_relative_to_full_scale(rate_hz: int, dbfs: float) -> None:
    noise = NoiseFloor(rate_hz, dbfs)
    frames = [noise.under(None) for _ in range(100)]
    assert {len(frame) for frame in frames} == {rate_hz // 50 * 2}
    level = 20 * np.log10(np.sqrt((_samples(b"".join(frames)) ** 2).mean()) / 32768)
    assert level == pytest.approx(dbfs, abs=0.2)


def test_every_line_has_the_same_noise() -> None:
    first, second = NoiseFloor(16_000, -65.0), NoiseFloor(16_000, -65.0)
    frames = [first.under(None) for _ in range(300)]
    assert frames == [second.under(None) for _ in range(300)]
    assert len(set(frames[:250])) == 250


def test_loud_speech_is_clipped() -> None:
    frame = np.full(320, 32_760, dtype="<i2").tobytes()
    mixed = _samples(NoiseFloor(16_000, -40.0).under(frame))
    assert np.max(mixed) == 32_767
    assert np.min(mixed) > 30_000


def _pause(duration_s: float) -> bytes:
    assert DEFAULT_DBFS is not None
    noise = NoiseFloor(16_000, DEFAULT_DBFS)
    return b"".join(noise.under(None) for _ in range(round(duration_s * 50)))


def test_the_default_noise_is_silence_to_everything_that_measures_speech() -> None:
    pause = _pause(5.0)
    assert TurnDetector(TurnRules(), 16_000).feed(pause) == []
    hearing = Hearing(16_000, AcsSettings().sound_threshold)
    assert hearing.feed(pause, 5.0) == []
    assert hearing.sound_ms == 0
    blocks = _samples(pause).reshape(-1, 160)
    assert np.sqrt((blocks**2).mean(axis=1)).max() < 0.8 * SILENCE_RMS
    assert sound_ms(_samples(pause), 16_000, 0, 5) == 0
    assert last_sound_s(_samples(pause), 16_000, 1, 5) == 1


def test_turns_over_the_default_noise_are_those_without_it() -> None:
    assert DEFAULT_DBFS is not None
    words = synthesize("What are your opening hours, please?", 16_000)
    words = words[: len(words) // 640 * 640]
    noise = NoiseFloor(16_000, DEFAULT_DBFS)
    frames = [words[at : at + 640] for at in range(0, len(words), 640)]
    spoken = b"".join(noise.under(frame) for frame in [*[None] * 50, *frames, *[None] * 100])
    quiet, noisy = (TurnDetector(TurnRules(), 16_000) for _ in range(2))
    turns, turns_over_noise = quiet.feed(bytes(32_000) + words + bytes(64_000)), noisy.feed(spoken)
    assert [type(edge) for edge in turns_over_noise] == [type(edge) for edge in turns]
    assert isinstance(turns[0], DetectedSpeechStart)
    for edge, over_noise in zip(turns, turns_over_noise, strict=True):
        assert over_noise[0] == pytest.approx(edge[0], abs=20)
