"""One stream that is read: how far, and whether what its writer tells continues that."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

from bridge_common.redis.pipeline import pack
from bridge_common.wire.entries import Entry

Sink: TypeAlias = Callable[[str, Entry], None]
"""Called with an entry's id and the entry, in the order of the stream. Must not block."""

_NOTHING: bytes = b""
_UNBROKEN_S: float = 0.5
"""Reads further apart than this do not add up to silence: in between, reads failed, or the process was stalled."""


class Subscription:
    """One reading of a stream: another one of the same key is not this one."""

    __slots__ = (
        "_epoch",
        "_seq",
        "_silent_at",
        "_silent_from",
        "_start",
        "channel",
        "cursor",
        "key",
        "look_at",
        "next_id",
        "packed_key",
        "sink",
        "was_told",
    )

    def __init__(self, key: str, cursor: bytes, sink: Sink) -> None:
        self.key = key
        self.channel = key.encode()
        """Where its writers tell what they append: it has the stream's own name."""
        self.packed_key = _packed(self.channel)
        """As a part of a command."""
        self.sink = sink
        self.next_id = _NOTHING
        self.look_at = 0.0
        """When to look into the stream itself, if nobody tells before (loop time)."""
        self.was_told = False
        """Since somebody set this back. For who looks at quiet streams."""
        self._silent_from = self._silent_at = 0.0
        self.move(cursor)

    @property
    def silent_s(self) -> float:
        """Seconds for which reads of the stream have returned no new entries."""
        return self._silent_at - self._silent_from

    def found_nothing(self, now: float) -> None:
        """A read of the stream returned no new entries."""
        if now - self._silent_at > _UNBROKEN_S:
            self._silent_from = now
        self._silent_at = now

    def break_silence(self) -> None:
        """An entry arrived, or a read failed."""
        self._silent_from = self._silent_at = 0.0

    def move(self, entry_id: bytes) -> None:
        """This entry was the last, wherever it came from."""
        epoch, _, seq = entry_id.partition(b"-")
        self.cursor = entry_id
        self._epoch, self._seq, self._start = int(epoch), int(seq or 0), epoch + b"-"
        self.track()

    def step(self) -> None:
        """The one with `next_id` was the last, and it was told."""
        self.was_told = True
        self.cursor = self.next_id
        self._seq += 1
        self.next_id = b"%b%d" % (self._start, self._seq + 1)

    def lose_track(self) -> None:
        """Something is missing, or another writer has come: until the stream was looked at, nothing follows."""
        self.next_id = _NOTHING

    def track(self) -> None:
        """The only entry that certainly follows: the same writer's next."""
        self.next_id = b"%b%d" % (self._start, self._seq + 1)

    def has(self, entry_id: bytes) -> bool:
        """Whether it is the last one or lies before it. False for what is no entry id at all."""
        epoch, _, seq = entry_id.partition(b"-")
        if not (epoch.isdigit() and seq.isdigit()):
            return False
        return (int(epoch), int(seq)) <= (self._epoch, self._seq)


def read_command(streams: Collection[Subscription], count: int) -> bytes:
    """The XREAD of these streams, at most `count` entries of each."""
    parts = (b"XREAD", b"COUNT", count, b"STREAMS")
    # The number of parts stands first; keys and cursors count as well.
    head = b"*%d\r\n" % (len(parts) + 2 * len(streams)) + pack(*parts).partition(b"\r\n")[2]
    return head + b"".join([s.packed_key for s in streams]) + b"".join([_packed(s.cursor) for s in streams])


def _packed(part: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(part), part)
