"""The modes echo and marks: a response that never ends, to measure loss, order and delay of audio.

Frames need no task, log line or JSON encoder: one ticker serves all lines, and the text around a delta is prebuilt.
Messages are written to the socket immediately, so that the time of a mark is the time of its write.
"""

from __future__ import annotations

import asyncio
import binascii
import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from lab.mark_stream import MarkStream
from lab.marks import FRAME_MS, MAX_SEQ, mark_base64
from lab.voice_live.audio_formats import SPEECH_RATE_HZ, decode_append
from lab.voice_live.record import SessionRecord
from lab.voice_live.simulated_response import Response

SendNow = Callable[[bytes], bool]
"""Function that writes one message to the socket without waiting; false if the connection is closed or its buffer is
full.
"""

GRID_S = 0.005
"""Due times are rounded up to multiples of this, so that one timer serves several lines."""
MAX_FRAMES_AT_ONCE = 25
_IDLE_S = 60.0


@dataclass
class DeltaText:
    """Encodes `response.audio.delta` events of one response by concatenation. `ga`: use the GA name of the event."""

    response: Response
    ga: bool = False
    _count: int = 0

    def __post_init__(self) -> None:
        item_id = self.response.item.id if self.response.item else ""
        kind = "response.output_audio.delta" if self.ga else "response.audio.delta"
        self._tail = (
            f'","type":"{kind}","response_id":"{self.response.id}","item_id":"{item_id}",'
            '"output_index":0,"content_index":0,"delta":"'
        ).encode()

    def encode(self, audio: bytes) -> bytes:
        """Return the event as text. `audio`: base64."""
        self._count += 1
        return b'{"event_id":"event_%d%b%b"}' % (self._count, self._tail, audio)


class MeasuredTurns(Protocol):
    """Pauses and resumes the marks of the agent."""

    @property
    def next_at(self) -> float: ...

    def act(self, line: MarksLine) -> None: ...


@dataclass(eq=False)
class MarksLine:
    """Decodes the marks of one uplink. When they reveal the number of the call, it sends marks of the same call."""

    record: SessionRecord
    uplink_rate_hz: int
    chunk_ms: int
    send: SendNow
    turns: MeasuredTurns | None = None
    call: int | None = None
    text: DeltaText | None = None
    """Encoder of the current response; `None` during a pause."""
    stopped: bool = False
    started_at: float = 0.0
    _chunks: int = 0
    _frames: int = 0
    _frames_before: int = 0
    """The number of the first mark in the current response."""
    _reader: MarkStream = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._reader = MarkStream(self.uplink_rate_hz)

    def hear(self, audio: object, now: float) -> bool:
        """Handle one append event; true if it revealed the number of the call. Raises `RefusedError`."""
        return self._hear(decode_append(audio), now)

    def hear_at_once(self, audio: bytes, now: float) -> bool:
        """Handle one append event of a known call; false if `hear` must handle it."""
        if self.call is None:
            return False
        try:
            pcm = binascii.a2b_base64(audio, strict_mode=True)
        except ValueError:
            return False
        if len(pcm) % 2:
            return False
        self._hear(pcm, now)
        return True

    def _hear(self, pcm: bytes, now: float) -> bool:
        for call, seq in self._reader.feed(pcm):
            self.record.marks_heard.append((call, seq, now))
        if self.call is not None or not self.record.marks_heard:
            return False
        self.call = self.record.marks_heard[0][0]
        self.record.marks_shift_ms = self._reader.shift_ms
        return True

    def begin_at(self, number: int) -> None:
        self._frames_before = number

    def speak(self, response: Response, now: float) -> None:
        self.text = DeltaText(response, self.record.ga_names)
        self.started_at = now
        self._frames_before += self._frames
        self._chunks = self._frames = 0

    def pause(self) -> None:
        self.text = None

    @property
    def spoken_ms(self) -> int:
        return self._frames * FRAME_MS

    @property
    def due_at(self) -> float:
        chunk_at = self.started_at + self._chunks * self.chunk_ms / 1000 if self.text is not None else float("inf")
        return min(chunk_at, self.turns.next_at) if self.turns is not None else chunk_at

    def tick(self) -> None:
        """Send the audio that is due, including frames that the connection could not accept before."""
        if self.turns is not None and self.turns.next_at <= time.monotonic():
            self.turns.act(self)
            return
        if self.text is None or self.call is None:
            return
        due = min((self._chunks + 1) * self.chunk_ms // FRAME_MS - self._frames, MAX_FRAMES_AT_ONCE)
        self._chunks += 1
        if due <= 0:
            return
        call, first = self.call, self._frames_before + self._frames
        numbers = [(first + index) & MAX_SEQ for index in range(due)]
        audio = b"".join(mark_base64(call, number, SPEECH_RATE_HZ) for number in numbers)
        message = self.text.encode(audio)
        now = time.monotonic()
        if self.send(message):
            self._frames += due
            self.record.counters["deltas"] += 1
            self.record.marks_sent += [(call, number, now) for number in numbers]
            self.text.response.audio_bytes += due * SPEECH_RATE_HZ * FRAME_MS // 1000 * 2


@dataclass
class MarksTicker:
    """The timer of all marks lines. Deadlines are absolute, so that delays do not accumulate."""

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
        loop = asyncio.get_running_loop()
        while True:
            now = time.monotonic()
            while self._lines and self._lines[0][0] <= now:
                _, order, line = heapq.heappop(self._lines)
                line.tick()
                if not line.stopped:
                    heapq.heappush(self._lines, (_on_grid(line.due_at), order, line))
            # A new line may be due before all others.
            self._woken.clear()
            wait_s = self._lines[0][0] - time.monotonic() if self._lines else _IDLE_S
            alarm = loop.call_later(max(0.0, wait_s), self._woken.set)
            await self._woken.wait()
            alarm.cancel()


@dataclass
class EchoLine:
    """Returns the appended audio unchanged."""

    text: DeltaText | None = None

    def hear(self, audio: object) -> bytes | None:
        """Return the delta event for one append event. The response must be open. Raises `RefusedError`."""
        if self.text is None or self.text.response.over:
            return None
        self.text.response.audio_bytes += len(decode_append(audio))
        return self.text.encode(str(audio).encode())


def _on_grid(at: float) -> float:
    return -(-at // GRID_S) * GRID_S
