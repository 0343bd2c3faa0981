"""Numbered marks in audio: every 20 ms frame contains the number of its call and its own. With them, loss, repetition,
reordering, cross-talk and delay are measured on the audio itself, behind resamplers and processes.

A mark has 47 slots of 0.375 ms, each at one of two levels: 7 slots preamble (a Barker code), 16 bits call, 16 bits
sequence, 8 bits checksum. A slot is 6 samples at 16 kHz and 9 at 24 kHz, slow enough for a telephone-band resampler.
The last 2.4 ms of a frame are silent, so that a mark is complete within its frame after 2 ms of resampler delay. A
constant delay only moves the slots: the reader searches for them once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

FRAME_MS: Final = 20
MAX_CALL: Final = 2**16 - 1
MAX_SEQ: Final = 2**16 - 1

_SLOTS: Final = 47
_PREAMBLE: Final = np.array([True, True, True, False, False, True, False])
_LEVEL: Final = 9000
_SILENCE: Final = 2000
_WEIGHTS: Final = (1 << np.arange(39, -1, -1)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Mark:
    call: int
    seq: int


def encode_mark(call: int, seq: int, rate_hz: int) -> bytes:
    """Return a 20 ms frame of PCM16 with `call` and `seq` (both 0 to 65535). `rate_hz`: 16000 or 24000."""
    number = (call & MAX_CALL) << 16 | (seq & MAX_SEQ)
    word = number << 8 | _check(number)
    bits = np.concatenate([_PREAMBLE, (word & _WEIGHTS) != 0])
    levels = np.where(bits, _LEVEL, -_LEVEL).astype("<i2")
    frame = np.zeros(rate_hz * FRAME_MS // 1000, dtype="<i2")
    frame[: _SLOTS * _slot(rate_hz)] = np.repeat(levels, _slot(rate_hz))
    return frame.tobytes()


class MarkReader:
    """Accepts PCM16 in pieces of any size."""

    def __init__(self, rate_hz: int) -> None:
        self._frame = rate_hz * FRAME_MS // 1000
        slot = _slot(rate_hz)
        self._centers = np.arange(_SLOTS) * slot + slot // 2
        self._every_place = np.arange(self._frame)[:, None] + self._centers[None, :]
        self._samples: NDArray[np.int16] = np.empty(0, dtype=np.int16)
        self._place: int | None = None
        """Offset of the next frame in `_samples`, once found."""

    def feed(self, pcm: bytes) -> list[Mark]:
        """Return the marks that `pcm` completes, in order."""
        self._samples = np.concatenate([self._samples, np.frombuffer(pcm, dtype="<i2")])
        marks: list[Mark] = []
        while True:
            if self._place is None:
                if len(self._samples) < 3 * self._frame:
                    return marks
                self._place = self._search()
                if self._place is None:
                    self._samples = self._samples[self._frame :]
                    continue
            if len(self._samples) <= self._place + self._centers[-1]:
                return marks
            mark = self._at(self._place)
            if mark is None:
                self._place = None
                continue
            marks.append(mark)
            # The last slot is read at its middle, so the end of the frame may not have arrived yet.
            end = min(self._place + self._frame - 1, len(self._samples))
            self._place += self._frame - end
            self._samples = self._samples[end:]

    def _search(self) -> int | None:
        """Return the offset of a mark that is followed by a mark of the same call; needs three frames."""
        if np.abs(self._samples[: 2 * self._frame].astype(np.int32)).max() < _SILENCE:
            return None
        starts = self._samples[self._every_place[:, : len(_PREAMBLE)]] > 0
        good = [int(place) for place in np.flatnonzero((starts == _PREAMBLE).all(axis=1)) if self._begins(int(place))]
        # Adjacent offsets give the same bits; the middle of the run is the farthest from the slot edges.
        run = [place for index, place in enumerate(good) if place == good[0] + index]
        return run[len(run) // 2] if run else None

    def _begins(self, place: int) -> bool:
        first, second = self._at(place), self._at(place + self._frame)
        return first is not None and second is not None and first.call == second.call and first.seq < second.seq

    def _at(self, place: int) -> Mark | None:
        bits = self._samples[place + self._centers] > 0
        if not np.array_equal(bits[: len(_PREAMBLE)], _PREAMBLE):
            return None
        word = int(_WEIGHTS[bits[len(_PREAMBLE) :]].sum())
        number, check = word >> 8, word & 0xFF
        return Mark(number >> 16, number & MAX_SEQ) if _check(number) == check else None


def _slot(rate_hz: int) -> int:
    return rate_hz * 3 // 8000


def _check(number: int) -> int:
    return (number * 2654435761 & 0xFFFFFFFF) >> 24
