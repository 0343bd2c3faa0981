"""The queue between an agent that generates speech faster than real time and a caller who hears it in real time.

Audio is sent in messages, a short lead ahead of the play clock. The lead hides the jitter of the network, and is so
short that a clear finds almost all audio still in the queue. The queue contains 24 kHz PCM. The driver resamples the
audio that is sent, so for a clear it only has to reset its resampler.

Driver: call `due` at `next_at` and after every change; send the chunks, then the reports.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec

from bridge_common.wire.audio import FRAME_MS, VOICE_RATE_HZ, bytes_of_ms, ms_of_bytes
from bridge_common.wire.entries import Played, Playing
from media_gateway.core.hold_tone import HoldTone
from media_gateway.core.play_clock import PlayClock

TONE_LEAD_S: Final = 0.06
"""Lead of the hold tone. It is shorter than that of speech, so that speech does not wait behind the tone."""
_CLOSED_KEPT: Final = 256
_AT_ONCE: Final = float("-inf")
_NEVER: Final = float("inf")

Report: TypeAlias = Playing | Played


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """Audio to send now. A pause may follow a `final` chunk: send the rest of the resampler with it."""

    pcm24k: bytes
    final: bool


class DueAudio(msgspec.Struct, frozen=True):
    chunks: list[Chunk]
    reports: list[Report]


@dataclass(slots=True)
class Totals:
    """Bytes of audio by outcome: pushed = sent + cleared + waiting."""

    pushed: int = 0
    sent: int = 0
    cleared: int = 0
    late: int = 0
    """Bytes that arrived after their item was cleared or complete; not queued."""
    refused: int = 0
    """Bytes that arrived while the queue was full; not queued."""
    gaps: list[float] = field(default_factory=list)
    """Seconds of silence within items because their audio arrived too late. The reader of this list clears it."""


@dataclass(slots=True)
class _Item:
    item_id: str
    pushed_bytes: int = 0
    sent_bytes: int = 0
    half_sample: bytes = b""
    ended: bool = False


@dataclass(slots=True)
class _Piece:
    item: _Item
    pcm: bytes
    start: int = field(default=0)


class Playout:
    """The playout of one call."""

    def __init__(
        self, *, lead_ms: float = 200, message_ms: float = 100, delay_ms: float = 0, queue_ms: float = 300_000
    ) -> None:
        # The message that is sent below this level reaches the lead, and exceeds it by at most a frame.
        self._send_below_s = (lead_ms - max(0.0, message_ms - FRAME_MS)) / 1000
        self._message_bytes = bytes_of_ms(message_ms, VOICE_RATE_HZ)
        self._frame_bytes = min(self._message_bytes, bytes_of_ms(FRAME_MS, VOICE_RATE_HZ))
        self._queue_bytes = bytes_of_ms(queue_ms, VOICE_RATE_HZ)
        self._clock = PlayClock(delay_ms / 1000)
        self._pieces: deque[_Piece] = deque()
        self._items: dict[str, _Item] = {}
        self._ended = 0
        """Number of items that have ended and were not heard completely yet."""
        self._closed: OrderedDict[str, None] = OrderedDict()
        self._tone = HoldTone(self._frame_bytes)
        self._rest_held = False
        self._last_sent: _Item | None = None
        self.waiting_bytes = 0
        self.totals = Totals()

    @property
    def playing_until(self) -> float:
        """Time at which all audio that was sent will have been played, the hold tone included; -inf before any."""
        return self._clock.ends_at

    def push(self, item_id: str, pcm24k: bytes) -> None:
        """Queue audio of an item. Late and excess audio is dropped and counted."""
        if item_id in self._closed:
            self.totals.late += len(pcm24k)
            return
        if self.waiting_bytes + len(pcm24k) > self._queue_bytes:
            self.totals.refused += len(pcm24k)
            return
        item = self._items.get(item_id)
        if item is None:
            item = self._items[item_id] = _Item(item_id)
        if item.half_sample or len(pcm24k) % 2:
            pcm24k = item.half_sample + pcm24k
            whole = len(pcm24k) & ~1
            pcm24k, item.half_sample = pcm24k[:whole], pcm24k[whole:]
        if pcm24k:
            self._pieces.append(_Piece(item, pcm24k))
            item.pushed_bytes += len(pcm24k)
            self.waiting_bytes += len(pcm24k)
            self.totals.pushed += len(pcm24k)

    def end(self, item_id: str) -> None:
        """Mark the audio of this item as complete."""
        item = self._items.get(item_id)
        if item is not None and not item.ended:
            item.ended = True
            self._ended += 1

    def hold(self, on: bool) -> None:
        self._tone.switch(on)

    def clear(self, item_id: str, now: float) -> list[Report]:
        """Drop the audio of all items that was not heard yet, and further audio of these items and of `item_id`."""
        reports = self._completed(now)
        for item in list(self._items.values()):
            reports.append(self._played(item, now, complete=False))
        if item_id:
            self._close(item_id)
        self.totals.cleared += self.waiting_bytes
        self.waiting_bytes = 0
        self._pieces.clear()
        self._clock.stopped(now)
        self._rest_held = False
        self._last_sent = None
        self._tone.silence()
        return reports

    def due(self, now: float) -> DueAudio:
        """Return the audio and the reports that are due now."""
        due = DueAudio([], self._completed(now) if self._ended else [])
        while self._sounds_at() <= now:
            due.chunks.append(self._next_chunk(now, due.reports))
        if self._rest_is_due():
            self._clock.sent_rest(now)
            self._rest_held = False
            last = due.chunks.pop().pcm24k if due.chunks else b""
            due.chunks.append(Chunk(last, final=True))
        return due

    def next_at(self) -> float | None:
        """Return the time of the next call of `due`, or None if nothing is queued."""
        if self._rest_is_due():
            return _AT_ONCE
        next_at = self._sounds_at()
        if self._ended:
            ends = [self._clock.end_of(item.item_id) for item in self._items.values() if self._all_sent(item)]
            next_at = min([next_at, *ends])
        return next_at if next_at != _NEVER else None

    # -- outgoing audio
    def _sounds_at(self) -> float:
        """Return the time at which the next audio may be sent: speech, otherwise the hold tone."""
        if self._has_frame():
            return self._clock.ends_at - self._send_below_s
        return self._clock.ends_at - TONE_LEAD_S if self._tone.sounds else _NEVER

    def _next_chunk(self, now: float, reports: list[Report]) -> Chunk:
        if not self._tone.sounds:
            return self._frame(now, reports)
        if not self._has_frame():
            return self._tone_frame(now)
        return self._fade_tone(now) if self._tone.audible else self._frame(now, reports)

    def _has_frame(self) -> bool:
        """Whether a whole frame, or the last, shorter frame of an item is waiting."""
        return self.waiting_bytes >= self._frame_bytes or (bool(self._pieces) and self._pieces[-1].item.ended)

    def _room(self) -> int:
        """Return the bytes of the next message: whole frames, except at the end of an item."""
        room = min(self._message_bytes, self.waiting_bytes)
        return room if self._pieces[-1].item.ended else room - room % self._frame_bytes

    def _rest_is_due(self) -> bool:
        """Whether a pause begins: no audio is waiting and the last item is complete."""
        if not self._rest_held or self._pieces or self._tone.sounds:
            return False
        return self._last_sent is None or self._last_sent.ended

    def _frame(self, now: float, reports: list[Report]) -> Chunk:
        parts: list[bytes] = []
        length = room = self._room()
        if self._pieces[0].item is self._last_sent and now > self._clock.ends_at:
            self.totals.gaps.append(now - self._clock.ends_at)
        while room:
            piece = self._pieces[0]
            part = piece.pcm[piece.start : piece.start + room]
            piece.start += len(part)
            if piece.start == len(piece.pcm):
                self._pieces.popleft()
            parts.append(part)
            room -= len(part)
            if not piece.item.sent_bytes:
                reports.append(Playing(piece.item.item_id))
            piece.item.sent_bytes += len(part)
            self._last_sent = piece.item
            self._clock.sent(piece.item.item_id, len(part), now)
        self.waiting_bytes -= length
        self.totals.sent += length
        self._rest_held = True
        return Chunk(b"".join(parts), final=False)

    def _tone_frame(self, now: float) -> Chunk:
        self._clock.sent("", self._frame_bytes, now)
        self._last_sent = None
        self._rest_held = True
        return Chunk(self._tone.next_frame(), final=False)

    def _fade_tone(self, now: float) -> Chunk:
        """Return one frame that fades out an audible tone, sent before speech replaces it, to avoid a click."""
        self._clock.sent("", self._frame_bytes, now)
        return Chunk(self._tone.fade_out(), final=False)

    # -- heard audio
    def _all_sent(self, item: _Item) -> bool:
        return item.ended and item.sent_bytes == item.pushed_bytes

    def _completed(self, now: float) -> list[Report]:
        """Return reports of the items that were heard completely."""
        return [
            self._played(item, now, complete=True)
            for item in list(self._items.values())
            if self._all_sent(item) and self._clock.heard_bytes(item.item_id, now) == item.pushed_bytes
        ]

    def _played(self, item: _Item, now: float, *, complete: bool) -> Played:
        heard_ms = int(ms_of_bytes(self._clock.heard_bytes(item.item_id, now), VOICE_RATE_HZ))
        self._close(item.item_id)
        return Played(item.item_id, heard_ms, complete)

    def _close(self, item_id: str) -> None:
        item = self._items.pop(item_id, None)
        if item is not None and item.ended:
            self._ended -= 1
        self._clock.forget(item_id)
        self._closed[item_id] = None
        self._closed.move_to_end(item_id)
        if len(self._closed) > _CLOSED_KEPT:
            self._closed.popitem(last=False)
