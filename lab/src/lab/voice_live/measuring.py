"""Echo and marks: one response without an end, for measuring loss, order and delay of audio.

No frame costs a task, a log line or a JSON encoder: one ticker serves all lines, the text around a delta is prebuilt.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from lab.marks import FRAME_MS, MAX_SEQ, MarkReader, encode_mark
from lab.voice_live.audio_formats import SPEECH_RATE_HZ
from lab.voice_live.events import RefusedError
from lab.voice_live.record import SessionRecord
from lab.voice_live.responses import Response

GRID_S = 0.005
"""Due times are rounded up to this grid, so that one wake-up serves several lines."""
MAX_FRAMES_AT_ONCE = 25


@dataclass
class DeltaText:
    """`response.audio.delta` of one response, as text, by concatenation."""

    response: Response
    _count: int = 0

    def __post_init__(self) -> None:
        item_id = self.response.item.id if self.response.item else ""
        self._tail = (
            f'","type":"response.audio.delta","response_id":"{self.response.id}","item_id":"{item_id}",'
            '"output_index":0,"content_index":0,"delta":"'
        )

    def encode(self, audio: str) -> str:
        """`audio`: base64."""
        self._count += 1
        return f'{{"event_id":"event_{self._count}{self._tail}{audio}"}}'


@dataclass(eq=False)
class MarksLine:
    """Reads the marks of one uplink, and speaks marks of the same call once the uplink has told its number."""

    record: SessionRecord
    uplink_rate_hz: int
    chunk_ms: int
    send: Callable[[str], Awaitable[bool]]
    """Sends one delta; false when the connection cannot take it now."""
    call: int | None = None
    text: DeltaText | None = None
    stopped: bool = False
    started_at: float = 0.0
    _chunks: int = 0
    _frames: int = 0
    _reader: MarkReader = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._reader = MarkReader(self.uplink_rate_hz)

    def hear(self, audio: object, now: float) -> bool:
        """One append. True when it told the call's number for the first time."""
        heard = self._reader.feed(_decoded(audio))
        self.record.marks_heard += [(mark.call, mark.seq, now) for mark in heard]
        if self.call is not None or not heard:
            return False
        self.call = heard[0].call
        return True

    def speak(self, response: Response, now: float) -> None:
        self.text = DeltaText(response)
        self.started_at = now

    @property
    def due_at(self) -> float:
        return self.started_at + self._chunks * self.chunk_ms / 1000

    async def tick(self) -> None:
        """Send the chunk that is due; after a pause of the connection, all that gathered meanwhile in one."""
        if self.text is None or self.call is None:
            return
        due = min((self._chunks + 1) * self.chunk_ms // FRAME_MS - self._frames, MAX_FRAMES_AT_ONCE)
        first, self._chunks = self._frames, self._chunks + 1
        if due <= 0:
            return
        numbers = [(first + index) & MAX_SEQ for index in range(due)]
        pcm = b"".join(encode_mark(self.call, number, SPEECH_RATE_HZ) for number in numbers)
        if await self.send(self.text.encode(base64.b64encode(pcm).decode())):
            now = time.monotonic()
            self._frames += due
            self.record.marks_sent += [(self.call, number, now) for number in numbers]
            self.text.response.audio_bytes += len(pcm)


@dataclass
class MarksTicker:
    """The one clock of all marks lines: absolute deadlines, so that lateness never adds up."""

    _lines: list[tuple[float, int, MarksLine]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, line: MarksLine) -> None:
        heapq.heappush(self._lines, (_on_grid(line.due_at), next(self._order), line))
        self._woken.set()

    def remove(self, line: MarksLine) -> None:
        line.stopped = True
        self._lines = [entry for entry in self._lines if entry[2] is not line]
        heapq.heapify(self._lines)

    async def run(self) -> None:
        while True:
            if not self._lines:
                self._woken.clear()
                await self._woken.wait()
                continue
            wait_s = self._lines[0][0] - time.monotonic()
            await asyncio.sleep(max(0.0, wait_s))
            now = time.monotonic()
            while self._lines and self._lines[0][0] <= now:
                _, order, line = heapq.heappop(self._lines)
                await line.tick()
                if not line.stopped:
                    heapq.heappush(self._lines, (_on_grid(line.due_at), order, line))


@dataclass
class EchoLine:
    """Sends every appended piece back as it came."""

    text: DeltaText | None = None

    def hear(self, audio: object) -> str | None:
        """The delta for one append, as text; the caller has opened the response before. Raises `RefusedError`."""
        if self.text is None or self.text.response.over:
            return None
        raw = _decoded(audio)
        self.text.response.audio_bytes += len(raw)
        return self.text.encode(str(audio))


def _decoded(audio: object) -> bytes:
    try:
        raw = binascii.a2b_base64(audio if isinstance(audio, str) else "", strict_mode=True)
    except (binascii.Error, ValueError) as reason:
        raise RefusedError(f"'audio' is no valid base64: {reason}", "invalid_value", "audio") from None
    if len(raw) % 2 or not isinstance(audio, str):
        raise RefusedError("'audio' must be base64 of whole 16-bit samples", "invalid_value", "audio")
    return raw


def _on_grid(at: float) -> float:
    return -(-at // GRID_S) * GRID_S
