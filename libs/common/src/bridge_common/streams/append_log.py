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


class Refused(NamedTuple, Generic[Owner]):
    """`is_missing`: there is no such stream. Else the stream has an entry of a later writer."""

    owner: Owner
    is_missing: bool


class AppendLog(Generic[Owner]):
    """`max_waiting`: maximum entries that wait to be sent; beyond it the oldest are dropped."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self.waiting: deque[tuple[Owner, bytes]] = deque()
        self.sent: deque[tuple[Owner, bytes]] = deque()
        """Entries whose append has no reply yet."""
        self._waiting_in_doubt = 0
        """Number of entries at the head of `waiting` that an earlier attempt may have stored."""
        self._sent_in_doubt = 0
        """The same of `sent`."""
        self._expects_publication = False
        """The next reply is that of a publication."""
        self.added = 0
        self.settled = 0
        """Number of entries that were answered or dropped."""
        self.dropped = 0

    def add(self, owner: Owner, commands: bytes) -> bool:
        """`commands`: append and publication of one entry. False if the oldest waiting entry was dropped for it."""
        full = len(self.waiting) >= self._max_waiting
        if full:
            self.waiting.popleft()
            self._waiting_in_doubt = max(0, self._waiting_in_doubt - 1)
            self.settled += 1
            self.dropped += 1
        self.waiting.append((owner, commands))
        self.added += 1
        return not full

    def take(self, limit: int) -> list[bytes]:
        """The commands of up to `limit` waiting entries, to be sent now in this order."""
        batch = [self.waiting.popleft() for _ in range(min(limit, len(self.waiting)))]
        in_doubt = min(self._waiting_in_doubt, len(batch))
        self._waiting_in_doubt -= in_doubt
        self._sent_in_doubt += in_doubt
        self.sent += batch
        return [commands for _, commands in batch]

    def lose_connection(self) -> None:
        """Entries without a reply wait again, before all others."""
        self._waiting_in_doubt += len(self.sent)
        self.waiting.extendleft(reversed(self.sent))
        self.sent.clear()
        self._sent_in_doubt = 0
        self._expects_publication = False

    def answer(self, reply: object) -> Unavailable | Refused[Owner] | None:
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
        owner = self.sent.popleft()[0]
        self.settled += 1
        repeated = self._sent_in_doubt > 0
        if repeated:
            self._sent_in_doubt -= 1
        # A writer that was fenced during a repetition learns it with its next entry.
        return Refused(owner, reply is None) if reply is None or (refused and not repeated) else None
