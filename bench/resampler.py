"""The gateway's resampler, compiled and in numpy, beside two ways to do without it: soxr's stream, and an FFT
over each frame by itself.

Quality is that of frames of 20 ms, one after the other, as a call brings them. SNR: a tone against everything else in
the output after the best fit of that tone. Worst image or alias: over tones up to the lower half rate (16→24), or
above it (24→16), the strongest thing in the output that the tone's own frequency does not explain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
import scipy.signal  # type: ignore[import-untyped]  # scipy ships no types
import soxr
from numpy.typing import NDArray

from bench.table import Cell, Table, best_us
from media_gateway.core.rate_change import RESAMPLER
from media_gateway.core.resampler import Resampler

Samples: TypeAlias = NDArray[np.float64]
Step: TypeAlias = Callable[[bytes], bytes]
Maker: TypeAlias = Callable[[int, int], Step]

TONES_HZ: Final = (300, 1000, 3400, 6000)
_BESIDE_HZ: Final = 13
"""Each tone lies so much higher: whole periods in a frame would flatter what starts anew with each frame."""
LEVEL: Final = 0.9
_FULL: Final = 32_767
_SKIP_S: Final = 0.1
"""Left out at the beginning: every filter needs its past first."""


def compiled(from_hz: int, to_hz: int) -> Step:
    return RESAMPLER(from_hz, to_hz).feed


def with_numpy(from_hz: int, to_hz: int) -> Step:
    return Resampler(from_hz, to_hz).feed


def soxr_stream(from_hz: int, to_hz: int) -> Step:
    stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="int16", quality="HQ")

    def step(pcm: bytes) -> bytes:
        return bytes(stream.resample_chunk(np.frombuffer(pcm, "<i2")).tobytes())

    return step


def fft_per_chunk(from_hz: int, to_hz: int) -> Step:
    """scipy.signal.resample over each frame, as the original system had it."""

    def step(pcm: bytes) -> bytes:
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        out = scipy.signal.resample(samples, len(samples) * to_hz // from_hz)
        return bytes(np.clip(np.rint(out), -32_768, 32_767).astype("<i2").tobytes())

    return step


COMPILED: Final = "polyphase FIR, compiled (ours)"
"""Where it was built; the row is missing elsewhere."""
WITH_NUMPY: Final = "polyphase FIR, numpy"
MAKERS: Final[dict[str, Maker]] = {
    **({COMPILED: compiled} if RESAMPLER is not Resampler else {}),
    WITH_NUMPY: with_numpy,
    "soxr stream HQ": soxr_stream,
    "FFT per chunk": fft_per_chunk,
}


def measure(repeats: int) -> list[Table]:
    return [_table(16_000, 24_000, repeats), _table(24_000, 16_000, repeats)]


def _table(from_hz: int, to_hz: int, repeats: int) -> Table:
    columns = ["", *(f"SNR {hz} Hz, dB" for hz in TONES_HZ), "worst image/alias, dB", "delay, ms", "µs a frame"]
    rows: list[list[Cell]] = []
    for name, make in MAKERS.items():
        snrs: list[Cell] = [_snr_db(make, hz + _BESIDE_HZ, from_hz, to_hz) for hz in TONES_HZ]
        worst, delay = _worst_db(make, from_hz, to_hz), _delay_ms(make, from_hz, to_hz)
        rows.append([name, *snrs, worst, delay, _us_a_frame(make, from_hz, to_hz, repeats)])
    notes = (
        f"Tones lie {_BESIDE_HZ} Hz above what is named, so that they do not fit a frame.",
        "Delay: until the sound can be played on without a break, output in bursts included.",
    )
    return Table(f"Resampling {from_hz // 1000} → {to_hz // 1000} kHz, frames of 20 ms", columns, rows, notes)


def _tone(hz: float, rate_hz: int, seconds: float = 1.0) -> NDArray[np.int16]:
    n = np.arange(int(rate_hz * seconds))
    return np.asarray(np.rint(LEVEL * _FULL * np.sin(2 * np.pi * hz * n / rate_hz)), np.int16)


def _through(make: Maker, samples: NDArray[np.int16], from_hz: int, to_hz: int) -> Samples:
    step, frame = make(from_hz, to_hz), from_hz // 50
    out = b"".join(step(samples[at : at + frame].tobytes()) for at in range(0, len(samples), frame))
    return np.frombuffer(out, "<i2").astype(np.float64)


def _without(out: Samples, hz: float, rate_hz: int) -> tuple[float, Samples]:
    """The amplitude of the tone and what is left of `out` without it."""
    n = np.arange(len(out))
    basis = np.stack([np.sin(2 * np.pi * hz * n / rate_hz), np.cos(2 * np.pi * hz * n / rate_hz)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, out)
    return float(np.hypot(*weights)), out - basis @ weights


def _snr_db(make: Maker, hz: int, from_hz: int, to_hz: int) -> float:
    out = _through(make, _tone(hz, from_hz), from_hz, to_hz)[int(to_hz * _SKIP_S) :]
    amplitude, rest = _without(out, hz, to_hz)
    return 10 * math.log10(amplitude**2 / 2 / float(np.mean(rest**2)))


def _worst_db(make: Maker, from_hz: int, to_hz: int) -> float:
    edge = min(from_hz, to_hz) // 2
    tones = np.arange(100, edge, 350) if from_hz < to_hz else np.arange(edge + 50, from_hz // 2, 190)
    levels: list[float] = []
    for hz in (tones + _BESIDE_HZ).tolist():
        out = _through(make, _tone(hz, from_hz), from_hz, to_hz)[int(to_hz * _SKIP_S) :]
        rest = _without(out, hz, to_hz)[1] if from_hz < to_hz else out
        window = np.blackman(len(rest))
        levels.append(float(np.max(np.abs(np.fft.rfft(rest * window)))) / float(window.sum()) * 2)
    return 20 * math.log10(max(*levels, 1e-3) / (LEVEL * _FULL))


def _delay_ms(make: Maker, from_hz: int, to_hz: int) -> float:
    """How much later a sound can be played without a break: the filter's shift, and what it holds back at worst."""
    frame = from_hz // 50
    click = np.zeros(from_hz, np.int16)
    click[10 * frame] = 20_000
    step = make(from_hz, to_hz)
    produced = 0
    waited_s = 0.0
    heard: list[Samples] = []
    for number, at in enumerate(range(0, len(click), frame)):
        piece = np.frombuffer(step(click[at : at + frame].tobytes()), "<i2").astype(np.float64)
        heard.append(piece)
        produced += len(piece)
        waited_s = max(waited_s, (number + 1) * 0.02 - produced / to_hz)
    out = np.concatenate(heard)
    shift_s = float(np.argmax(np.abs(out))) / to_hz - 10 * frame / from_hz
    return (shift_s + waited_s) * 1000


def _us_a_frame(make: Maker, from_hz: int, to_hz: int, repeats: int) -> float:
    step = make(from_hz, to_hz)
    frame = np.random.default_rng(1).integers(-9000, 9000, from_hz // 50).astype("<i2").tobytes()
    return best_us(lambda: step(frame), repeats)
