from __future__ import annotations

import numpy as np
import pytest

from lab.acs.key_sound import key_sound


@pytest.mark.parametrize(
    ("key", "low", "high"), [("1", 697, 1209), ("5", 770, 1336), ("#", 941, 1477), ("A", 697, 1633)]
)
def test_a_key_has_two_frequencies(key: str, low: int, high: int) -> None:
    samples = np.frombuffer(key_sound(key, 16_000), "<i2")
    assert len(samples) == 1600
    spectrum = np.abs(np.fft.rfft(samples))
    peaks = sorted(int(at) * 10 for at in np.argsort(spectrum)[-2:])
    assert peaks == pytest.approx([low, high], abs=10)
