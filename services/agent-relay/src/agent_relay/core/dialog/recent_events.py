"""Recognizes events that the service delivers again."""

from __future__ import annotations

from typing import Final

_KEPT: Final = 64


class RecentEvents:
    """The latest ids of one kind."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def is_new(self, id_: str) -> bool:
        """Whether the id is not among the latest ones. Adds it."""
        if id_ in self._ids:
            return False
        self._ids[id_] = None
        if len(self._ids) > _KEPT:
            del self._ids[next(iter(self._ids))]
        return True

    def forget(self, id_: str) -> bool:
        """Whether the id was among the latest ones. It is new again."""
        return self._ids.pop(id_, id_) is None
