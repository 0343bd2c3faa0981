"""Entries that a writer appends over one connection at a time: which are waiting, which are sent, and what a reply
means. No I/O and no clock.

Each entry has two commands, so two replies: that of the append and that of the publication. When the connection is
lost, entries without a reply may be stored or not. They are sent again first, with the same ids: Redis refuses an id
that it has already, so a refusal of such an entry does not mean that another writer has the stream.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, NamedTuple, TypeVar

from hiredis import ReplyError

from bridge_common.redis.replies import refusal_is_passing

Owner = TypeVar("Owner")
"""The sender of an entry, which is notified when Redis refuses it."""


class Unavailable(NamedTuple):
    """The server stores nothing at the moment. All entries without a reply have to be sent again."""

    reason: str


class Fenced(NamedTuple, Generic[Owner]):
    """The server refused the id: the stream has an entry of a later writer."""

    owner: Owner


class Missing(NamedTuple, Generic[Owner]):
    """There is no such stream."""

    owner: Owner


class AppendLog(Generic[Owner]):
    """`max_waiting`: maximum entries that wait to be sent; beyond it the oldest are dropped."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[Owner, bytes]] = deque()
        self._sent: deque[tuple[Owner, bytes]] = deque()
        self._waiting_in_doubt = 0
        """Number of entries at the head of `_waiting` that an earlier attempt may have stored."""
        self._sent_in_doubt = 0
        """The same of `_sent`."""
        self._expects_publication = False
        """The next reply is that of a publication."""
        self.added = 0
        self.settled = 0
        """Number of entries that were answered or dropped."""
        self.dropped = 0

    @property
    def unsettled(self) -> int:
        """Number of entries that are waiting or sent."""
        return len(self._waiting) + len(self._sent)

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    @property
    def awaits_replies(self) -> bool:
        return bool(self._sent)

    def add(self, owner: Owner, commands: bytes) -> bool:
        """`commands`: append and publication of one entry. False if the oldest waiting entry was dropped for it."""
        full = len(self._waiting) >= self._max_waiting
        if full:
            self._waiting.popleft()
            self._waiting_in_doubt = max(0, self._waiting_in_doubt - 1)
            self.settled += 1
            self.dropped += 1
        self._waiting.append((owner, commands))
        self.added += 1
        return not full

    def take(self, limit: int) -> list[bytes]:
        """The commands of up to `limit` waiting entries, to be sent now in this order."""
        batch = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        in_doubt = min(self._waiting_in_doubt, len(batch))
        self._waiting_in_doubt -= in_doubt
        self._sent_in_doubt += in_doubt
        self._sent += batch
        return [commands for _, commands in batch]

    def lose_connection(self) -> None:
        """Entries without a reply wait again, before all others."""
        self._waiting_in_doubt += len(self._sent)
        self._waiting.extendleft(reversed(self._sent))
        self._sent.clear()
        self._sent_in_doubt = 0
        self._expects_publication = False

    def answer(self, reply: object) -> Unavailable | Fenced[Owner] | Missing[Owner] | None:
        """Take the next reply. None if there is nothing to do: the entry was stored, perhaps by an earlier attempt, or
        it was published. After `Unavailable` the connection is useless: close it, then `lose_connection`.
        """
        refused = isinstance(reply, ReplyError)
        if refused and refusal_is_passing(str(reply)):
            return Unavailable(str(reply))
        if self._expects_publication:
            # A refused publication costs delay only: readers also read the stream.
            self._expects_publication = False
            return None
        self._expects_publication = True
        owner = self._sent.popleft()[0]
        self.settled += 1
        repeated = self._sent_in_doubt > 0
        if repeated:
            self._sent_in_doubt -= 1
        if reply is None:
            return Missing(owner)
        # A writer that was fenced during a repetition learns it with its next entry.
        return Fenced(owner) if refused and not repeated else None
