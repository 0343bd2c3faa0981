"""Truncates items in the conversation to the part that the caller heard, in a form that the service accepts.

If the service rejects a truncation at 0 ms ("Only model output audio messages can be truncated"), the item is
deleted. If it accepts no other `content_index` than 0, the position in the whole item is sent. Each attempt has at most
one alternative, so there is no endless retry.
"""

from __future__ import annotations

from typing import Final

from agent_relay.core.dialog.played_item import PlayedItem
from agent_relay.core.protocol.voice_events import ClientEvent, ErrorEvent, delete_item, truncate_item

_KEPT: Final = 32
_UNKNOWN_ITEM: Final = "item_truncate_invalid_item_id"
_CODES: Final = frozenset({_UNKNOWN_ITEM, "unsupported_content_type", "item_delete_invalid_item_id"})


class Truncations:
    def __init__(self) -> None:
        self._sent: dict[str, tuple[str, ClientEvent | None]] = {}
        """Item id, and the alternative to send if this attempt is rejected, by event id. Oldest first."""
        self._count = 0

    def truncate(self, item: PlayedItem) -> list[ClientEvent]:
        first, *later = item.truncations()
        index, end_ms = first
        # An item that the caller has heard in part is never deleted.
        other: ClientEvent | None = None
        if not item.truncation_ms():
            other = delete_item(item.item_id, self._next_id("delete"))
        elif index:
            other = truncate_item(item.item_id, item.truncation_ms(), self._next_id("truncate"))
        events = [self._truncation(item.item_id, end_ms, index, other)]
        return events + [self._truncation(item.item_id, end_ms, index, None) for index, end_ms in later]

    def delete(self, item_id: str) -> ClientEvent:
        """Return the event that deletes an item without audio, in which there is nothing to truncate."""
        event = delete_item(item_id, self._next_id("delete"))
        self._note(event, None)
        return event

    def accepted(self, item_id: str) -> None:
        self._sent = {event_id: sent for event_id, sent in self._sent.items() if sent[0] != item_id}

    def refused(self, error: ErrorEvent) -> list[ClientEvent] | None:
        """Return the events to send instead; None if the error is about something else."""
        event_id = error.event_id
        if not event_id and self._sent and (error.code in _CODES or "truncate" in error.message):
            # Not every error has the id of the rejected event.
            event_id = next(iter(self._sent))
        if event_id not in self._sent:
            return None
        _, other = self._sent.pop(event_id)
        if other is None or error.code == _UNKNOWN_ITEM:
            return []
        self._note(other, None)
        return [other]

    def session_lost(self) -> None:
        self._sent.clear()

    def _truncation(self, item_id: str, end_ms: int, index: int, other: ClientEvent | None) -> ClientEvent:
        event = truncate_item(item_id, end_ms, self._next_id("truncate"), index)
        self._note(event, other)
        return event

    def _note(self, event: ClientEvent, other: ClientEvent | None) -> None:
        self._sent[str(event["event_id"])] = (str(event["item_id"]), other)
        if len(self._sent) > _KEPT:
            del self._sent[next(iter(self._sent))]

    def _next_id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"
