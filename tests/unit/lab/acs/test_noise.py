from __future__ import annotations

import numpy as np
import pytest

from lab.acs.noise import NoiseFloor


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
    assert mixed.max() == 32_767
    assert mixed.min() > 30_000
