"""The queue between an AI that speaks faster than real time and a caller who hears in real time.

Sound leaves in messages, a short lead ahead of the play clock: enough that the network's jitter is not heard, and so
little that a clear finds almost everything still here. The queue holds 24 kHz PCM; the driver resamples what leaves, so
a clear needs only to reset its resampler and nothing of the cleared sound is left anywhere.

Driver: call `due` at `next_at` and after every change; send the chunks, then pass on the reports.
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
"""The hold tone runs less far ahead than speech, so that speech need not wait behind it."""
_CLOSED_KEPT: Final = 256
_AT_ONCE: Final = float("-inf")
_NEVER: Final = float("inf")

Report: TypeAlias = Playing | Played


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """Sound to send now. After a `final` one there may be a pause: send the resampler's rest with it."""

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
    """Came after its item was cleared or complete; never queued."""
    refused: int = 0
    """Came while the queue was full; never queued."""
    gaps: list[float] = field(default_factory=list)
    """Seconds of silence within an item, because the rest of it came too late. For who looks at them to clear."""


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
    """One call's audio toward the caller."""

    def __init__(
        self, *, lead_ms: float = 200, message_ms: float = 100, delay_ms: float = 0, queue_ms: float = 300_000
    ) -> None:
        # With the message that leaves then, the lead is reached and never passed by more than a frame.
        self._send_below_s = (lead_ms - max(0.0, message_ms - FRAME_MS)) / 1000
        self._message_bytes = bytes_of_ms(message_ms, VOICE_RATE_HZ)
        self._frame_bytes = min(self._message_bytes, bytes_of_ms(FRAME_MS, VOICE_RATE_HZ))
        self._queue_bytes = bytes_of_ms(queue_ms, VOICE_RATE_HZ)
        self._clock = PlayClock(delay_ms / 1000)
        self._pieces: deque[_Piece] = deque()
        self._items: dict[str, _Item] = {}
        self._ended = 0
        """How many of the items have ended and are not completely heard."""
        self._closed: OrderedDict[str, None] = OrderedDict()
        self._tone = HoldTone(self._frame_bytes)
        self._rest_held = False
        self._last_sent: _Item | None = None
        self.waiting_bytes = 0
        self.totals = Totals()

    def push(self, item_id: str, pcm24k: bytes) -> None:
        """Queue audio of an item. Late and surplus audio is dropped and counted."""
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
        """No more audio of this item will come."""
        item = self._items.get(item_id)
        if item is not None and not item.ended:
            item.ended = True
            self._ended += 1

    def hold(self, on: bool) -> None:
        self._tone.switch(on)

    def clear(self, item_id: str, now: float) -> list[Report]:
        """Drop what was not heard yet, of all items, and whatever still comes of them and of `item_id`."""
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
        """The audio that has to leave now, and the reports that the play clock has due."""
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
        """When `due` will next have something; None while nothing is going on."""
        if self._rest_is_due():
            return _AT_ONCE
        next_at = self._sounds_at()
        if self._ended:
            ends = [self._clock.end_of(item.item_id) for item in self._items.values() if self._all_sent(item)]
            next_at = min([next_at, *ends])
        return next_at if next_at != _NEVER else None

    # -- outgoing audio
    def _sounds_at(self) -> float:
        """When the next sound may leave: speech, and the tone while there is none."""
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
        """A whole frame waits, or the shorter end of an item. More leaves at once if more waits, up to a message."""
        return self.waiting_bytes >= self._frame_bytes or (bool(self._pieces) and self._pieces[-1].item.ended)

    def _room(self) -> int:
        """Bytes of the next message: whole frames, unless they are an item's last."""
        room = min(self._message_bytes, self.waiting_bytes)
        return room if self._pieces[-1].item.ended else room - room % self._frame_bytes

    def _rest_is_due(self) -> bool:
        """A pause begins: nothing waits and what was sent last has come to its end."""
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
        """Speech takes over from a tone that sounds: one frame of fading first, so that nothing clicks."""
        self._clock.sent("", self._frame_bytes, now)
        return Chunk(self._tone.fade_out(), final=False)

    # -- heard audio
    def _all_sent(self, item: _Item) -> bool:
        return item.ended and item.sent_bytes == item.pushed_bytes

    def _completed(self, now: float) -> list[Report]:
        """Items heard to their end."""
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
