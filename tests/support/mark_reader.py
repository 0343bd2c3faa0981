"""The reference reader of marks: simple and slow, for tests of the encoder and of `MarkStream`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.marks import FRAME_MS, MAX_SEQ, PREAMBLE, SILENCE, SLOTS, checksum, slot_samples

_PREAMBLE: Final = np.array(PREAMBLE)
_WEIGHTS: Final = (1 << np.arange(39, -1, -1)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Mark:
    call: int
    seq: int


class MarkReader:
    """Decodes marks from PCM16 in pieces of any size."""

    def __init__(self, rate_hz: int) -> None:
        self._frame = rate_hz * FRAME_MS // 1000
        slot = slot_samples(rate_hz)
        self._centers = np.arange(SLOTS) * slot + slot // 2
        self._every_place = np.arange(self._frame)[:, None] + self._centers[None, :]
        self._samples: NDArray[np.int16] = np.empty(0, dtype=np.int16)
        self._place: int | None = None
        """Offset of the next frame in `_samples`, when it has been found."""

    def feed(self, pcm: bytes) -> list[Mark]:
        """Return the marks that are complete with `pcm`, in order."""
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
            # The last slot is read at its middle, so the end of the frame need not have arrived.
            end = min(self._place + self._frame - 1, len(self._samples))
            self._place += self._frame - end
            self._samples = self._samples[end:]

    def _search(self) -> int | None:
        """Return the offset of a mark that is followed by a mark of the same call. Needs three frames."""
        if np.abs(self._samples[: 2 * self._frame].astype(np.int32)).max() < SILENCE:
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
        return Mark(number >> 16, number & MAX_SEQ) if checksum(number) == check else None
