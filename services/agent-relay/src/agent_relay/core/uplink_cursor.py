"""Position up to which the caller's audio and tones were forwarded. The next relay of the call continues from there."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple, TypeAlias

from bridge_common.wire.entries import AudioFrame, Dtmf

PREROLL_FRAMES: Final = 25
"""Frames of caller audio that are sent again before a turn: 500 ms, because speech begins before the service detects
it.
"""

KEPT_FRAMES: Final = 250
"""5 s, the length of the uplink stream: the limit for caller audio that is buffered until a session is ready."""


class UplinkStop(NamedTuple):
    """Ids of the last entries that a relay has processed at a hand-over."""

    audio: str
    tones: str


class UplinkCursor:
    """Tracks the position in the uplink. While the caller waits for an answer, it stays at the beginning of their
    speech: a service that loses a session also loses speech that it has not answered.
    """

    def __init__(self, begin: str) -> None:
        self._newest = begin
        self._recent: deque[str] = deque(maxlen=PREROLL_FRAMES)
        self._held = ""
        self._tone = begin
        self._tone_before = begin
        self._before_tones = begin

    def passed(self, entry_id: str, *, caller_waits: bool) -> None:
        """Record that the entry's audio was sent to the voice session."""
        self._newest = entry_id
        self._recent.append(entry_id)
        if not caller_waits:
            self._held = ""
        elif not self._held:
            self._held = self._recent[0]

    def tone(self, entry_id: str, *, typing: bool) -> None:
        """Record that a tone was processed. `typing`: earlier tones are not sent to the agent yet and belong to the
        same input.
        """
        if not typing:
            self._tone_before, self._before_tones = self._tone, self._newest
        self._tone = entry_id

    @property
    def text(self) -> str:
        """Id of the last entry that need not be read again."""
        return self._held or self._newest

    def after_crash(self, *, typing: bool) -> str:
        """Return the entry id after which another relay reads if this one dies. `typing`: some tones are not sent to
        the agent yet and would be lost with this relay.
        """
        return min(self.text, self._before_tones, key=order_of) if typing else self.text

    @property
    def rewound(self) -> str:
        """Entry id after which the next relay reads before it knows where this one stopped (`stop`). It is up to 500 ms
        before `text`: if a turn begins during the hand-over, `stop` moves back to before its beginning.
        """
        return self._held or (self._recent[0] if self._recent else self._newest)

    def stop(self, *, typing: bool) -> UplinkStop:
        """Return the last processed entries. `typing`: the latest tones are not sent to the agent yet and are left to
        the next relay.
        """
        return UplinkStop(self.text, self._tone_before if typing else self._tone)


def order_of(entry_id: str) -> tuple[int, int]:
    """Return the sort key of an entry id of a stream."""
    epoch, _, seq = entry_id.partition("-")
    return int(epoch), int(seq or 0)


FromCaller: TypeAlias = AudioFrame | Dtmf


class UplinkGate:
    """Buffers caller audio and tones in the next owner of a call, while the previous owner still processes them.

    The next owner reads from before the hand-over, so nothing is lost if the previous owner dies. Entries that the
    previous owner has processed are dropped once it is known where it stopped:

    - In a quiet call both sessions together hear every frame exactly once.
    - A turn that the caller has not finished, or that is not answered yet, is heard by both: the old session discards
      it, and a conversation that is resumed by its id does not contain it either. The turn is sent from 500 ms before
      the service noticed it (`UplinkCursor`).
    - If the previous owner stored no position, it has died or runs an older version. Then everything since the
      beginning of the hand-over is heard, as after a crash: audio heard twice is better than lost audio.
    """

    def __init__(self) -> None:
        self._held: deque[tuple[str, FromCaller]] = deque(maxlen=KEPT_FRAMES)

    def hold(self, entry_id: str, entry: FromCaller) -> None:
        self._held.append((entry_id, entry))

    def release(self, stop: UplinkStop | None) -> list[tuple[str, FromCaller]]:
        """Return the entries that the previous owner has not processed; all of them if `stop` is None."""
        held = list(self._held)
        self._held.clear()
        if stop is None:
            return held
        audio, tones = order_of(stop.audio), order_of(stop.tones)
        return [(at, one) for at, one in held if order_of(at) > (audio if type(one) is AudioFrame else tones)]
