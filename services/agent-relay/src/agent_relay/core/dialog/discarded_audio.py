"""Agent audio that must not be heard: that of dropped responses, and of items that the caller has interrupted."""

from __future__ import annotations

from typing import Final

_CLOSED_KEPT: Final = 256


class DiscardedAudio:
    def __init__(self) -> None:
        self._responses: set[str] = set()
        """Dropped responses that have not ended."""
        self._closed: dict[str, None] = {}
        """Items whose further events are ignored, oldest first. A dict, because they are looked up for each delta."""
        self._unsaid: dict[str, str] = {}
        """Items of dropped responses of which nothing was sent to the downlink, with their response ids."""

    def drop(self, response_id: str) -> None:
        self._responses.add(response_id)

    def dropped(self, response_id: str) -> bool:
        return response_id in self._responses

    def resume(self, response_id: str) -> bool:
        """Play the response after all. Return False if some of its audio or text was discarded."""
        if response_id in self._unsaid.values():
            return False
        self._responses.discard(response_id)
        return True

    def close(self, item_id: str) -> None:
        self._closed[item_id] = None
        if len(self._closed) > _CLOSED_KEPT:
            del self._closed[next(iter(self._closed))]

    def closed(self, item_id: str) -> bool:
        return item_id in self._closed

    def discard(self, item_id: str, response_id: str) -> None:
        """Record an item of a dropped response of which nothing was sent to the downlink."""
        if item_id not in self._closed:
            self._unsaid[item_id] = response_id

    def response_done(self, response_id: str) -> list[str]:
        """Return the items of the ended response of which nothing was sent to the downlink."""
        self._responses.discard(response_id)
        items = [item_id for item_id, of in self._unsaid.items() if of == response_id]
        for item_id in items:
            del self._unsaid[item_id]
        return items

    def session_lost(self) -> None:
        self._responses.clear()
        self._unsaid.clear()
