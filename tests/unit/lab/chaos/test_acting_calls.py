"""How much of an utterance a caller heard; the calls themselves are covered by the rows of `make chaos`."""

from __future__ import annotations

import numpy as np
import pytest

from lab.chaos.acting_calls import share_heard
from lab.heard_audio import Samples
from lab.speech import synthesize

HZ = 16_000


def samples(rate_hz: int) -> Samples:
    return np.frombuffer(synthesize("It was a pleasure to help you today, goodbye.", rate_hz), "<i2").astype(np.float64)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * HZ))


def test_an_utterance_that_is_interrupted_and_repeated_is_heard_whole() -> None:
    heard, spoken = samples(HZ), samples(24_000)
    cut = heard[: len(heard) // 3]
    interrupted = np.concatenate([silence(1), cut, silence(4)])
    assert share_heard(interrupted, HZ, spoken, [0.5]) == pytest.approx(1 / 3, abs=0.12)
    repeated = np.concatenate([silence(1), cut, silence(2), heard, silence(1)])
    again_s = 3 + len(cut) / HZ
    assert share_heard(repeated, HZ, spoken, [0.5]) < 1.0
    assert share_heard(repeated, HZ, spoken, [0.5, again_s - 0.2]) == 1.0


def test_nothing_was_heard_of_an_utterance_that_was_never_spoken() -> None:
    assert share_heard(silence(3), HZ, np.zeros(0), [0.5]) == 0.0
    assert share_heard(silence(3), HZ, samples(24_000), []) == 0.0
