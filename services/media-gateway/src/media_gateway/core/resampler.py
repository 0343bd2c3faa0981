"""Changing the rate between phone (16 kHz) and voice (24 kHz) while the sound flows.

One linear-phase low-pass at 48 kHz, the lowest common rate, serves both directions: insert zeros up to 48 kHz, filter,
keep every second or third sample. Only the products that matter are computed, as one matrix product for a whole block:
row by row a window of input samples times a banded matrix of filter taps gives the next outputs.

The filter passes up to 6.5 kHz and stops from 8 kHz on, where both rates' mirror bands begin; the transition fits the
gap of a phone line (narrow band ends at 3.4 kHz, wide band at 7 kHz, where the filter is 1.7 dB down).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

COMMON_RATE_HZ: Final = 48_000
TAPS: Final = 163
"""Odd, so that the delay is a whole number of samples at 48 kHz: 81, which is 1.69 ms."""
PASS_HZ: Final = 6_500
STOP_HZ: Final = 8_000
_PERIODS_PER_ROW: Final = 8
_ROWS_PER_PRODUCT: Final = 64
"""Keeps each product so small that a threaded BLAS computes it in the calling thread."""
_HIGHEST: Final = np.float32(32_767)
_LOWEST: Final = np.float32(-32_768)


class RateChange(Protocol):
    """PCM in, PCM out; whole samples, any length."""

    @property
    def delay_ms(self) -> float:
        """How much later sound comes out than it went in."""

    def feed(self, pcm: bytes) -> bytes: ...

    def flush(self) -> bytes:
        """What the delay still held back. Afterwards the next sound starts from silence."""

    def reset(self) -> None:
        """Forget what was fed: nothing of it sounds in what comes out next."""


def rate_change(from_hz: int, to_hz: int) -> RateChange:
    return SameRate() if from_hz == to_hz else Resampler(from_hz, to_hz)


class SameRate:
    delay_ms = 0.0

    def feed(self, pcm: bytes) -> bytes:
        return pcm

    def flush(self) -> bytes:
        return b""

    def reset(self) -> None:
        pass


class Resampler:
    """One direction of one call. Output depends on the samples alone, never on how they were cut into blocks."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self.delay_ms = (TAPS - 1) / 2 / COMMON_RATE_HZ * 1000
        up, self._step_in = _ratio(from_hz, to_hz)
        self._step_out = up
        self._matrix, self._past = _matrix(up, self._step_in)
        self._tail_in = -(-(TAPS - 1) // 2 // up)
        self.reset()

    def reset(self) -> None:
        self._kept: Floats = np.zeros(self._past, np.float32)
        """The past that the filter still needs, then samples too few for a whole step."""

    def feed(self, pcm: bytes) -> bytes:
        rows_bytes = 2 * _ROWS_PER_PRODUCT * _PERIODS_PER_ROW * self._step_in
        if len(pcm) <= rows_bytes:
            return self._feed(np.frombuffer(pcm, "<i2"))
        pieces = (pcm[start : start + rows_bytes] for start in range(0, len(pcm), rows_bytes))
        return b"".join(self._feed(np.frombuffer(piece, "<i2")) for piece in pieces)

    def flush(self) -> bytes:
        waiting = len(self._kept) - self._past
        zeros = -(-(waiting + self._tail_in) // self._step_in) * self._step_in - waiting
        rest = self._feed(np.zeros(zeros, "<i2"))
        self.reset()
        return rest

    def _feed(self, samples: NDArray[np.int16]) -> bytes:
        held = len(self._kept) + len(samples)
        periods = (held - self._past) // self._step_in
        rows = -(-periods // _PERIODS_PER_ROW)
        hop = _PERIODS_PER_ROW * self._step_in
        buffer: Floats = np.zeros(max(held, self._past + rows * hop), np.float32)
        buffer[: len(self._kept)] = self._kept
        buffer[len(self._kept) : held] = samples
        self._kept = buffer[periods * self._step_in : held].copy()
        if not periods:
            return b""
        item = buffer.itemsize
        windows: Floats = np.ndarray((rows, self._past + hop), np.float32, buffer.data, strides=(hop * item, item))
        out = np.dot(windows, self._matrix).reshape(-1)[: periods * self._step_out]
        np.rint(out, out=out)
        out.clip(_LOWEST, _HIGHEST, out=out)
        pcm: bytes = out.astype("<i2").tobytes()
        return pcm


def _ratio(from_hz: int, to_hz: int) -> tuple[int, int]:
    """(up, down): `down` samples at `from_hz` last as long as `up` at `to_hz`."""
    if COMMON_RATE_HZ % from_hz or COMMON_RATE_HZ % to_hz or min(from_hz, to_hz) < 2 * STOP_HZ:
        raise ValueError(f"no conversion from {from_hz} to {to_hz} Hz")
    shared = math.gcd(from_hz, to_hz)
    return to_hz // shared, from_hz // shared


@lru_cache
def low_pass() -> NDArray[np.float64]:
    """The taps at 48 kHz, with a gain of 1: a windowed sinc, Kaiser's window and formulas."""
    width = 2 * math.pi * (STOP_HZ - PASS_HZ) / COMMON_RATE_HZ
    attenuation_db = 7.95 + 2.285 * width * (TAPS - 1)
    beta = 0.1102 * (attenuation_db - 8.7)
    cutoff = (PASS_HZ + STOP_HZ) / COMMON_RATE_HZ
    n = np.arange(TAPS) - (TAPS - 1) / 2
    taps = np.sinc(cutoff * n) * np.kaiser(TAPS, beta)
    return np.asarray(taps / taps.sum(), np.float64)


@lru_cache
def _matrix(up: int, down: int) -> tuple[Floats, int]:
    """(window x outputs of one row, number of past samples in a window).

    Output m lies at 48 kHz index m*down and sees input i at index i*up: tap m*down - i*up. Row by row, m and i count
    from the row's first output and the oldest sample of its window.
    """
    taps = low_pass() * up
    past = -(-(TAPS - 1) // up)
    inputs = np.arange(past + _PERIODS_PER_ROW * down)[:, None] - past
    outputs = np.arange(_PERIODS_PER_ROW * up)[None, :]
    index = outputs * down - inputs * up
    inside = (index >= 0) & (index < TAPS)
    matrix = np.where(inside, taps[np.clip(index, 0, TAPS - 1)], 0.0)
    return np.ascontiguousarray(matrix, np.float32), past
