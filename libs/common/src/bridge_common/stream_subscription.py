"""One stream that is read, and the command that reads many of them, packed with as little as possible done anew."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeAlias

from bridge_common.entries import Entry
from bridge_common.redis_wire import pack

Sink: TypeAlias = Callable[[str, Entry], None]
"""Called with an entry's id and the entry, in the order of the stream. Must not block."""


@dataclass(slots=True, eq=False)
class Subscription:
    """One reading of a stream: another one of the same key is not this one."""

    key: str
    cursor: bytes
    sink: Sink
    rest_s: float
    due_at: float = 0.0
    """Not looked at before (loop time)."""
    packed_key: bytes = b""
    """As a part of a command."""
    packed_cursor: bytes = b""
    """As well. Most cursors stand still between two reads."""

    def __post_init__(self) -> None:
        self.packed_key = _packed(self.key.encode())
        self.move(self.cursor)

    def move(self, cursor: bytes) -> None:
        self.cursor = cursor
        self.packed_cursor = _packed(cursor)


def read_command(streams: Collection[Subscription], count: int, block_ms: int = 0) -> bytes:
    """The XREAD of these streams; with `block_ms` it waits so long for the first entry."""
    parts = (
        (b"XREAD", b"COUNT", count, b"BLOCK", block_ms, b"STREAMS")
        if block_ms
        else (b"XREAD", b"COUNT", count, b"STREAMS")
    )
    # The number of parts stands first; keys and cursors count as well.
    head = b"*%d\r\n" % (len(parts) + 2 * len(streams)) + pack(*parts).partition(b"\r\n")[2]
    return head + b"".join([s.packed_key for s in streams]) + b"".join([s.packed_cursor for s in streams])


def _packed(part: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(part), part)
