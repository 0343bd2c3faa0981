"""What was generated of each item and what the caller heard of it."""

from __future__ import annotations

from dataclasses import dataclass

from bridge_common.audio import VOICE_RATE_HZ, ms_of_bytes


@dataclass(slots=True)
class Item:
    """One say of the agent, from its first event until its turn is written to the transcript."""

    item_id: str
    response_id: str
    session: int
    """Which voice session made it: an item of a lost session cannot be truncated."""
    begun_at: float
    first_delta_at: float | None = None
    speech_end_at: float | None = None
    """When the caller's say that it answers ended; None when it answers nothing (a greeting)."""
    first_frame_at: float | None = None
    generated_bytes: int = 0
    text: str = ""
    text_whole: bool = False
    audio_whole: bool = False
    cleared: bool = False
    noted: bool = False
    """What it says is written down for a relay after us."""
    heard_ms: int | None = None
    complete: bool = False

    @property
    def generated_ms(self) -> int:
        return int(ms_of_bytes(self.generated_bytes, VOICE_RATE_HZ))

    @property
    def may_be_unheard(self) -> bool:
        return self.heard_ms is None

    def latency_ms(self, at: float | None) -> int:
        """From the end of the caller's say; -1 when there was none or `at` did not happen."""
        return -1 if at is None or self.speech_end_at is None else round((at - self.speech_end_at) * 1000)

    def truncation_ms(self) -> int:
        """Where to truncate: never beyond what was generated, which Voice Live refuses."""
        return min(self.heard_ms or 0, self.generated_ms)

    def heard_text(self) -> str:
        """The text that was heard, estimated by time: whole words up to the heard share of the audio."""
        if self.complete or self.heard_ms is None or self.generated_bytes == 0:
            return self.text
        return cut_text(self.text, self.truncation_ms() / max(self.generated_ms, 1))

    def estimated_heard_ms(self, now: float) -> int:
        """What must have been heard when nobody tells: the time since the first frame left."""
        if self.first_frame_at is None:
            return 0
        return min(self.generated_ms, int((now - self.first_frame_at) * 1000))


def cut_text(text: str, share: float) -> str:
    if share >= 1:
        return text
    end = int(len(text) * max(share, 0.0))
    if end < len(text) and not text[end].isspace():
        end = max(text.rfind(" ", 0, end), 0)
    return text[:end].rstrip()


class Heard:
    """The items whose turn is not settled yet, oldest first."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}

    def items(self) -> list[Item]:
        return list(self._items.values())

    def get(self, item_id: str) -> Item | None:
        return self._items.get(item_id)

    def begin(self, item_id: str, response_id: str, session: int, now: float) -> Item:
        item = self._items[item_id] = Item(item_id, response_id, session, now)
        return item

    def forget(self, item_id: str) -> None:
        self._items.pop(item_id, None)

    def unheard(self) -> list[Item]:
        """Items with audio that may still sound at the caller's ear, those already cleared left out."""
        return [i for i in self._items.values() if i.may_be_unheard and i.generated_bytes and not i.cleared]

    def played(self, item_id: str, heard_ms: int, *, complete: bool) -> Item | None:
        """Note what was heard; None for an item that is not ours, has no audio or was told of before."""
        item = self._items.get(item_id)
        if item is None or item.heard_ms is not None or not item.generated_bytes:
            return None
        item.heard_ms = heard_ms
        item.complete = complete
        return item
