"""Streaming resampler between phone (16 kHz) and voice (24 kHz), with numpy.

One linear-phase low-pass at 48 kHz, the lowest common rate, serves both directions: insert zeros up to 48 kHz, filter,
keep every second or third sample. Only the nonzero products are computed, as one matrix product for a whole block:
row by row a window of input samples times a banded matrix of filter taps gives the next outputs.

The filter passes up to 6.5 kHz and stops from 8 kHz on, where both rates' mirror bands begin; the transition fits the
gap of a phone line (narrow band ends at 3.4 kHz, wide band at 7 kHz, where the filter is 1.7 dB down).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bridge_common.wire.audio import BYTES_PER_SAMPLE, FRAME_MS

Floats: TypeAlias = NDArray[np.float32]

COMMON_RATE_HZ: Final = 48_000
TAPS: Final = 163
"""Length of the filter. It is odd, so that the delay is a whole number of samples at 48 kHz (81 samples, 1.69 ms)."""
DELAY_MS: Final = (TAPS - 1) / 2 / COMMON_RATE_HZ * 1000
PASS_HZ: Final = 6_500
STOP_HZ: Final = 8_000
_PERIODS_PER_ROW: Final = 8
_ROWS_PER_PRODUCT: Final = 64
"""Limit for each matrix product: so small that a threaded BLAS computes it in the calling thread."""
_PCM: Final = np.dtype("<i2")
_HIGHEST: Final = np.float32(32_767)
_LOWEST: Final = np.float32(-32_768)


class Polyphase(NamedTuple):
    """The filter of one direction. A period is the shortest time with whole samples in both rates."""

    up: int
    down: int
    """Output and input samples of a period."""
    past: int
    """Number of past periods that the filter uses."""
    tail_in: int
    """Samples of silence that flush the delay line."""
    taps: bytes
    """float32 [up][down][past + 1]: by output of a period, by input position in a period, the oldest period first."""


class Resampler:
    """Resampler of one direction of a call. The output does not depend on the lengths of the input blocks.

    Not thread-safe: all resamplers of a direction share working memory.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self.delay_ms = DELAY_MS
        self._step_out, self._step_in = _ratio(from_hz, to_hz)
        self._matrix, self._past = _matrix(self._step_out, self._step_in)
        self._tail_in = _tail_in(self._step_out)
        self._frame = _frame_work(from_hz, to_hz)
        self.reset()

    def reset(self) -> None:
        self._kept: Floats = np.zeros(self._past, np.float32)
        """Past samples that the filter needs, then samples that are fewer than a step."""

    def feed(self, pcm: bytes) -> bytes:
        if len(pcm) == self._frame.pcm_bytes and len(self._kept) == self._past:
            return self._frame.resample(pcm, self._kept)
        rows_bytes = 2 * _ROWS_PER_PRODUCT * _PERIODS_PER_ROW * self._step_in
        if len(pcm) <= rows_bytes:
            return self._feed(np.frombuffer(pcm, _PCM))
        pieces = (pcm[start : start + rows_bytes] for start in range(0, len(pcm), rows_bytes))
        return b"".join(self._feed(np.frombuffer(piece, _PCM)) for piece in pieces)

    def feed_message(self, message: memoryview, speaker: bytes | None = None) -> bytes | None:
        """Process no message: see `RateChange`."""
        return None

    def flush(self) -> bytes:
        waiting = len(self._kept) - self._past
        zeros = -(-(waiting + self._tail_in) // self._step_in) * self._step_in - waiting
        rest = self._feed(np.zeros(zeros, _PCM))
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
        out = np.dot(_windows(buffer, rows, self._past + hop, hop), self._matrix)
        return _pcm(out.reshape(-1)[: periods * self._step_out])


class _FrameWork:
    """Preallocated memory for streams of whole frames, as nearly all audio is."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        step_out, step_in = _ratio(from_hz, to_hz)
        self._matrix, past = _matrix(step_out, step_in)
        samples = from_hz * FRAME_MS // 1000
        hop = _PERIODS_PER_ROW * step_in
        rows = samples // hop
        self.pcm_bytes = samples * BYTES_PER_SAMPLE
        buffer: Floats = np.zeros(past + samples, np.float32)
        self._before, self._frame, self._after = buffer[:past], buffer[past:], buffer[samples:]
        self._overlapping = _windows(buffer, rows, past + hop, hop)
        self._rows: Floats = np.zeros((rows, past + hop), np.float32)
        self._out: Floats = np.zeros((rows, _PERIODS_PER_ROW * step_out), np.float32)

    def resample(self, pcm: bytes, kept: Floats) -> bytes:
        """Resample one frame. `kept`: the past samples before this frame; on return, those before the next frame."""
        self._before[:] = kept
        self._frame[:] = np.frombuffer(pcm, _PCM)
        kept[:] = self._after
        self._rows[:] = self._overlapping
        np.dot(self._rows, self._matrix, out=self._out)
        return _pcm(self._out)


@lru_cache
def _frame_work(from_hz: int, to_hz: int) -> _FrameWork:
    return _FrameWork(from_hz, to_hz)


def _windows(buffer: Floats, rows: int, width: int, hop: int) -> Floats:
    """Return overlapping rows of `width` samples, `hop` samples apart."""
    item = buffer.itemsize
    return np.ndarray((rows, width), np.float32, buffer.data, strides=(hop * item, item))


def _pcm(out: Floats) -> bytes:
    """Return the output as PCM, rounded and clipped in place."""
    np.rint(out, out=out)
    out.clip(_LOWEST, _HIGHEST, out=out)  # half the time of `np.clip`
    pcm: bytes = out.astype(_PCM).tobytes()
    return pcm


def _ratio(from_hz: int, to_hz: int) -> tuple[int, int]:
    """Return (up, down): `down` samples at `from_hz` last as long as `up` at `to_hz`."""
    if COMMON_RATE_HZ % from_hz or COMMON_RATE_HZ % to_hz or min(from_hz, to_hz) < 2 * STOP_HZ:
        raise ValueError(
            f"unsupported conversion from {from_hz} to {to_hz} Hz; both must divide 48 kHz and be at least 16 kHz"
        )
    shared = math.gcd(from_hz, to_hz)
    return to_hz // shared, from_hz // shared


def _tail_in(up: int) -> int:
    return -(-(TAPS - 1) // 2 // up)


@lru_cache
def low_pass() -> NDArray[np.float64]:
    """Return the taps at 48 kHz with a gain of 1: a sinc with a Kaiser window."""
    width = 2 * math.pi * (STOP_HZ - PASS_HZ) / COMMON_RATE_HZ
    attenuation_db = 7.95 + 2.285 * width * (TAPS - 1)
    beta = 0.1102 * (attenuation_db - 8.7)
    cutoff = (PASS_HZ + STOP_HZ) / COMMON_RATE_HZ
    n = np.arange(TAPS) - (TAPS - 1) / 2
    taps = np.sinc(cutoff * n) * np.kaiser(TAPS, beta)
    return np.asarray(taps / taps.sum(), np.float64)


@lru_cache
def _matrix(up: int, down: int) -> tuple[Floats, int]:
    """Return (matrix of window x outputs of one row, number of past samples in a window).

    Output m is at 48 kHz index m*down and uses input i at index i*up: tap m*down - i*up. Row by row, m and i count from
    the row's first output and the oldest sample of its window.
    """
    taps = low_pass() * up
    past = -(-(TAPS - 1) // up)
    inputs = np.arange(past + _PERIODS_PER_ROW * down)[:, None] - past
    outputs = np.arange(_PERIODS_PER_ROW * up)[None, :]
    index = outputs * down - inputs * up
    inside = (index >= 0) & (index < TAPS)
    matrix = np.where(inside, taps[np.clip(index, 0, TAPS - 1)], 0.0)
    return np.ascontiguousarray(matrix, np.float32), past


@lru_cache
def polyphase_of(from_hz: int, to_hz: int) -> Polyphase:
    """Return the first outputs of `_matrix` in the order of the compiled resampler; one copy for all calls."""
    up, down = _ratio(from_hz, to_hz)
    matrix, past = _matrix(up, down)
    window = matrix[: past + down, :up].reshape(past // down + 1, down, up)
    return Polyphase(up, down, past // down, _tail_in(up), window.transpose(2, 1, 0).tobytes())
