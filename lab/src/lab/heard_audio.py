"""Finds the agent's speech in a recording and measures how much of it the caller heard."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

SILENCE_RMS: Final = 30.0
"""Maximum RMS of 16-bit samples at which 10 ms count as silence."""


AS_GOOD: Final = 0.98


@dataclass(frozen=True, slots=True)
class Recording:
    """A stereo call recording: the caller on the left, the agent as heard by the caller on the right."""

    rate_hz: int
    caller: Samples
    agent: Samples

    @property
    def seconds(self) -> float:
        return len(self.agent) / self.rate_hz


@dataclass(frozen=True, slots=True)
class Found:
    """Position of an utterance in a recording, and its normalized correlation: 1.0 is identical."""

    at_s: float
    likeness: float


def read_recording(wav: bytes) -> Recording:
    """Decode a recording. Raises `ValueError` unless `wav` is a stereo 16-bit WAV."""
    with wave.open(io.BytesIO(wav)) as stored:
        if stored.getnchannels() != 2 or stored.getsampwidth() != 2:
            raise ValueError("a call recording must be a stereo 16-bit WAV")
        both = np.frombuffer(stored.readframes(stored.getnframes()), dtype="<i2").reshape(-1, 2).astype(np.float64)
        return Recording(stored.getframerate(), both[:, 0], both[:, 1])


def find_speech(agent: Samples, rate_hz: int, speech: bytes, *, from_s: float = 0.0) -> Found:
    """Locate `speech` (PCM16 at `rate_hz`) by normalized cross-correlation over its whole length."""
    wanted = np.frombuffer(speech, dtype="<i2").astype(np.float64)
    start = round(from_s * rate_hz)
    within = agent[start:]
    if len(wanted) == 0 or len(within) < len(wanted) or not wanted.any():
        return Found(from_s, 0.0)
    size = 1 << (len(within) + len(wanted)).bit_length()
    spectrum = np.fft.rfft(within, size) * np.conj(np.fft.rfft(wanted, size))
    products = np.fft.irfft(spectrum, size)[: len(within) - len(wanted) + 1]
    energies = np.concatenate([[0.0], np.cumsum(within**2)])
    local = energies[len(wanted) :] - energies[: -len(wanted)]
    likeness = products / (np.sqrt(np.maximum(local, 1.0)) * np.linalg.norm(wanted))
    # The same words may be heard again later: the first place that is as good counts.
    first = int(np.argmax(likeness >= np.max(likeness) * AS_GOOD))
    best = first + int(np.argmax(likeness[first : first + rate_hz // 100]))
    return Found((start + best) / rate_hz, float(likeness[best]))


def share_heard(heard: Samples, wanted: Samples) -> float:
    """Return the largest share of the amplitude of `wanted` that is part of `heard`, at any position: 1.0 at full
    volume, also under other audio.
    """
    energy = float(np.dot(wanted, wanted))
    if len(wanted) == 0 or len(heard) < len(wanted) or energy == 0.0:
        return 0.0
    size = 1 << (len(heard) + len(wanted)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size))
    products = np.fft.irfft(spectrum, size)[: len(heard) - len(wanted) + 1]
    return max(0.0, float(np.max(products)) / energy)


def read_mono(wav: bytes) -> tuple[int, Samples]:
    """Return the rate in Hz and the samples of the first channel of a 16-bit WAV."""
    with wave.open(io.BytesIO(wav)) as stored:
        samples = np.frombuffer(stored.readframes(stored.getnframes()), dtype="<i2").astype(np.float64)
        return stored.getframerate(), samples[:: stored.getnchannels()]


def sound_ms(agent: Samples, rate_hz: int, from_s: float, to_s: float) -> float:
    """Return how many ms between two times contain sound, in steps of 10 ms."""
    return float(_loud(agent, rate_hz, from_s, to_s).sum() * 10)


def _loud(samples: Samples, rate_hz: int, from_s: float, to_s: float) -> NDArray[np.bool_]:
    """Return for each 10 ms between two times whether they contain sound."""
    step = rate_hz // 100
    part = samples[max(0, int(from_s * rate_hz)) : max(0, int(to_s * rate_hz))]
    frames = part[: len(part) // step * step].reshape(-1, step)
    return np.sqrt((frames**2).mean(axis=1)) > SILENCE_RMS if len(frames) else np.empty(0, dtype=bool)


def longest_silence_s(sides: Sequence[Samples], rate_hz: int, from_s: float, to_s: float) -> float:
    """Return the longest time between two times in which all sides are silent, in steps of 10 ms."""
    loud = np.array([_loud(side, rate_hz, from_s, to_s) for side in sides]).any(axis=0)
    edges = np.concatenate([[-1], np.flatnonzero(loud), [len(loud)]])
    return float(np.diff(edges).max() - 1) / 100


def last_sound_s(agent: Samples, rate_hz: int, from_s: float, to_s: float) -> float:
    """Return the end of the last sound between two times, in steps of 10 ms; `from_s` if all is silent."""
    loud = np.flatnonzero(_loud(agent, rate_hz, from_s, to_s))
    first = max(0, int(from_s * rate_hz))
    return from_s if len(loud) == 0 else (first + (int(loud[-1]) + 1) * (rate_hz // 100)) / rate_hz
