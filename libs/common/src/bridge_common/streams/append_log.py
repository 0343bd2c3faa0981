"""Queue of the entries that a writer appends over one connection at a time: pending entries, sent entries, and the
meaning of each reply. No I/O and no clock.

Each entry has two commands, so two replies: that of the append and that of the publication. When the connection is
lost, entries without a reply may be stored or not. They are sent again first, with the same ids: Redis rejects an id
that it has already, so in this case the error does not mean that another writer owns the stream.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, NamedTuple, TypeVar

from hiredis import ReplyError

from bridge_common.redis.replies import refusal_is_passing

Owner = TypeVar("Owner")
"""The sender of an entry, which is notified if Redis rejects the entry."""


class Unavailable(NamedTuple):
    """Redis cannot store entries at the moment. All entries without a reply must be sent again."""

    reason: str


class Refused(NamedTuple, Generic[Owner]):
    """Redis rejected an entry permanently. `is_missing`: the stream does not exist. Otherwise the stream has an entry
    of a later writer.
    """

    owner: Owner
    is_missing: bool


class AppendLog(Generic[Owner]):
    """Entries of all streams of one connection. `max_waiting`: maximum entries that wait to be sent; when there are
    more, the oldest are dropped.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self.waiting: deque[tuple[Owner, bytes]] = deque()
        self.sent: deque[tuple[Owner, bytes]] = deque()
        """Entries without a reply to their append."""
        self._waiting_in_doubt = 0
        """Number of entries at the head of `waiting` that an earlier attempt may have stored."""
        self._sent_in_doubt = 0
        """Number of such entries at the head of `sent`."""
        self._expects_publication = False
        """Whether the next reply is that of a publication."""
        self.added = 0
        self.settled = 0
        """Number of entries that were acknowledged, rejected or dropped."""
        self.dropped = 0

    def add(self, owner: Owner, commands: bytes) -> bool:
        """Queue an entry. `commands`: the encoded commands that append and publish it. Returns False if the oldest
        waiting entry was dropped to make room.
        """
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
        """Return the commands of up to `limit` waiting entries, to be sent now in this order."""
        batch = [self.waiting.popleft() for _ in range(min(limit, len(self.waiting)))]
        in_doubt = min(self._waiting_in_doubt, len(batch))
        self._waiting_in_doubt -= in_doubt
        self._sent_in_doubt += in_doubt
        self.sent += batch
        return [commands for _, commands in batch]

    def lose_connection(self) -> None:
        """Move the entries without a reply to the head of the waiting entries."""
        self._waiting_in_doubt += len(self.sent)
        self.waiting.extendleft(reversed(self.sent))
        self.sent.clear()
        self._sent_in_doubt = 0
        self._expects_publication = False

    def answer(self, reply: object) -> Unavailable | Refused[Owner] | None:
        """Process the next reply. Returns None if there is nothing to do: the entry was stored, perhaps by an earlier
        attempt, or it was published. After `Unavailable`, close the connection and call `lose_connection`.
        """
        refused = isinstance(reply, ReplyError)
        if refused and refusal_is_passing(str(reply)):
            return Unavailable(str(reply))
        if self._expects_publication:
            # A rejected publication only adds delay: readers also read the stream.
            self._expects_publication = False
            return None
        self._expects_publication = True
        owner = self.sent.popleft()[0]
        self.settled += 1
        repeated = self._sent_in_doubt > 0
        if repeated:
            self._sent_in_doubt -= 1
        # A writer that was fenced during a repetition is notified with its next entry.
        return Refused(owner, reply is None) if reply is None or (refused and not repeated) else None
