"""Read position of one stream, and whether a published entry directly follows it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

from bridge_common.redis.pipeline import pack
from bridge_common.wire.entries import Entry

Sink: TypeAlias = Callable[[str, Entry], None]
"""Called with an entry's id and the entry, in the order of the stream; must not block."""

_NOTHING: bytes = b""
_UNBROKEN_S: float = 0.5
"""Maximum time between two reads that count as one silence. After a longer time, reads failed or the process was
stalled.
"""


class Subscription:
    """Read position of one stream. Compared by identity: a later subscription of the same key is not equal to an
    earlier one.
    """

    __slots__ = (
        "_epoch",
        "_seq",
        "_silent_at",
        "_silent_from",
        "_start",
        "channel",
        "cursor",
        "key",
        "next_id",
        "packed_key",
        "read_at",
        "sink",
        "was_published",
    )

    def __init__(self, key: str, cursor: bytes, sink: Sink) -> None:
        self.key = key
        self.channel = key.encode()
        """Channel on which writers publish their entries; it has the name of the stream."""
        self.packed_key = _packed(self.channel)
        """The key in RESP, as a part of a command."""
        self.sink = sink
        self.next_id = _NOTHING
        self.read_at = 0.0
        """Loop time at which to read the stream itself."""
        self.was_published = False
        """Whether an entry was published since the reader last reset this."""
        self._silent_from = self._silent_at = 0.0
        self.move(cursor)

    @property
    def silent_s(self) -> float:
        """Seconds for which reads of the stream have returned no new entries."""
        return self._silent_at - self._silent_from

    def found_nothing(self, now: float) -> None:
        """Record that a read of the stream returned no new entries."""
        if now - self._silent_at > _UNBROKEN_S:
            self._silent_from = now
        self._silent_at = now

    def break_silence(self) -> None:
        """End the silence, after a new entry or a failed read."""
        self._silent_from = self._silent_at = 0.0

    def move(self, entry_id: bytes) -> None:
        """Set the position to this entry."""
        epoch, _, seq = entry_id.partition(b"-")
        self.cursor = entry_id
        self._epoch, self._seq, self._start = int(epoch), int(seq or 0), epoch + b"-"
        self.track()

    def step(self) -> None:
        """Advance to `next_id`, after its publication."""
        self.was_published = True
        self.cursor = self.next_id
        self._seq += 1
        self.next_id = b"%b%d" % (self._start, self._seq + 1)

    def lose_track(self) -> None:
        """Accept no published entry until the stream was read; after a gap or a change of the writer."""
        self.next_id = _NOTHING

    def track(self) -> None:
        """Accept the only entry that certainly follows: the next one of the same writer."""
        self.next_id = b"%b%d" % (self._start, self._seq + 1)

    def has(self, entry_id: bytes) -> bool:
        """Whether the entry is at or before the position. Returns False if `entry_id` is not a valid id."""
        epoch, _, seq = entry_id.partition(b"-")
        if not (epoch.isdigit() and seq.isdigit()):
            return False
        return (int(epoch), int(seq)) <= (self._epoch, self._seq)


def read_command(streams: Collection[Subscription], count: int) -> bytes:
    """Return the XREAD of these streams, for up to `count` entries of each."""
    parts = (b"XREAD", b"COUNT", count, b"STREAMS")
    # The number of parts comes first, including keys and cursors.
    head = b"*%d\r\n" % (len(parts) + 2 * len(streams)) + pack(*parts).partition(b"\r\n")[2]
    return head + b"".join([s.packed_key for s in streams]) + b"".join([_packed(s.cursor) for s in streams])


def _packed(part: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(part), part)
