"""Fast reader of marks in a stream, for the simulators under load.

When the offset of the marks is known, one strided slice over the high bytes in the middle of each slot reads a frame:
their signs are the bits.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lab.marks import PREAMBLE, SILENCE, SLOTS, checksum, frame_bytes, slot_samples

_PREAMBLE: Final = int("".join(str(int(bit)) for bit in PREAMBLE), 2)
_HALF_LEVEL: Final = 4500
_SIGNS: Final = bytes(b"1"[0] if byte < 0x80 else b"0"[0] for byte in range(256))


class MarkStream:
    """Decodes the marks of one stream of PCM16, passed in pieces of any size of whole samples."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._frame = frame_bytes(rate_hz)
        self._slot = slot_samples(rate_hz) * 2
        self._first = self._slot // 4 * 2 + 1
        self._span = self._first + (SLOTS - 1) * self._slot + 1
        self._rest = b""
        self._place: int | None = None
        """Offset of the next frame from the start of `_rest`; it may be beyond the received data."""
        self._before = 0
        """Number of bytes of the stream before `_rest`, modulo the size of a frame."""
        self.shift_ms: float | None = None
        """Delay of the marks within their frames, caused by resamplers; known after the first mark. The stream must
        start with a whole frame.
        """

    def feed(self, pcm: bytes) -> list[tuple[int, int]]:
        """Return (call, seq) of the marks that are complete with `pcm`, in order."""
        data = self._rest + pcm if self._rest else pcm
        at = self._place
        marks: list[tuple[int, int]] = []
        while True:
            if at is None:
                data, at = self._find(data)
                if at is None:
                    break
            if len(data) < at + self._span:
                break
            mark = self._read(data, at)
            if mark is None:
                data, at = self._drop(data, at), None
                continue
            marks.append(mark)
            at += self._frame
        cut = min(at or 0, len(data))
        self._place = None if at is None else at - cut
        self._rest = self._drop(data, cut)
        return marks

    def _drop(self, data: bytes, count: int) -> bytes:
        self._before = (self._before + count) % self._frame
        return data[count:]

    def _read(self, data: bytes, at: int) -> tuple[int, int] | None:
        """Return the mark of the frame at offset `at`; `data` must contain all its slots."""
        bits = data[at + self._first : at + self._span : self._slot].translate(_SIGNS)
        word = int(bits, 2)
        number, check = word >> 8 & 0xFFFFFFFF, word & 0xFF
        if word >> 40 != _PREAMBLE or checksum(number) != check:
            return None
        return number >> 16, number & 0xFFFF

    def _find(self, data: bytes) -> tuple[bytes, int | None]:
        """Search for a mark that is followed by a mark of the same call; return the remaining data and the offset."""
        while len(data) >= 3 * self._frame:
            places = self._places(data)
            if places:
                # Adjacent offsets give the same bits; the middle of the run is the farthest from the slot edges.
                run = [place for index, place in enumerate(places) if place == places[0] + 2 * index]
                place = run[len(run) // 2]
                self._measure_shift(data, place)
                return data, place
            data = self._drop(data, self._frame)
        return data, None

    def _places(self, data: bytes) -> list[int]:
        samples = np.frombuffer(data, "<i2", count=self._frame)
        if int(np.abs(samples.astype(np.int32)).max()) < SILENCE:
            return []
        return [place for place in range(0, self._frame, 2) if self._begins(data, place)]

    def _begins(self, data: bytes, place: int) -> bool:
        first = self._read(data, place)
        second = self._read(data, place + self._frame) if first is not None else None
        return first is not None and second is not None and first[0] == second[0] and first[1] < second[1]

    def _measure_shift(self, data: bytes, place: int) -> None:
        """Measure the delay. Before a mark there is silence and its first slot is high, so it begins where the signal
        exceeds half the level.
        """
        begin = place + self._frame - self._slot
        edge = np.frombuffer(data[begin : begin + 2 * self._slot], "<i2") >= _HALF_LEVEL
        onset = begin + 2 * int(np.argmax(edge))
        self.shift_ms = (self._before + onset) % self._frame / 2 / self._rate_hz * 1000
