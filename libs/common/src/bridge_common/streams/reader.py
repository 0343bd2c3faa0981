"""The reading end of the media streams: many calls on one connection, each entry handed to its call's sink in order.

A writer tells what it appends on a channel of the stream's own name (`stream_writer`), and the entry is taken from
there when it is the next one of the same writer. Channels forget and may lose; the stream does not. So whenever
something is missing, another writer has come, or nothing was told for a moment, the stream itself is read (XREAD).
Appends and what is told of them come to the server in one order, so that what the stream refuses is not taken from the
channel either: the writer with the higher epoch has been told of before.
"""

from __future__ import annotations

import re
from typing import Final

from redis.asyncio import Redis

from bridge_common.base.waiting import TaskSupervisor
from bridge_common.observability.telemetry import BAD_ENTRIES
from bridge_common.redis.cluster import ClusterRedis, server_of
from bridge_common.streams.reader_connection import ReaderConnection
from bridge_common.streams.subscription import Sink, Subscription
from bridge_common.wire.keys import READER_STREAMS

QUIET_S: Final = 0.1
"""So often all streams are looked at of which nothing was told meanwhile."""
_ENTRY_ID: Final = re.compile(r"\d+(-\d+)?")


class StreamReader:
    """All streams a process reads, on one server or a cluster. `run` reads until cancelled; streams may be added and
    removed at any time.
    """

    def __init__(self, redis: Redis, *, quiet_s: float = QUIET_S) -> None:
        """`quiet_s`: how often streams are looked at that are not told of. Shorter for those that nobody tells of."""
        self._redis = redis
        self._quiet_s = quiet_s
        self._parts: list[ReaderConnection] = []
        self._crew = TaskSupervisor()
        self.bad_entries = 0

    def add(self, key: str, cursor: str, sink: Sink) -> None:
        """Read the stream from after `cursor` (an entry id; `0-0` for the beginning), instead of before, if it was.

        Raises `ValueError` for a cursor that is no entry id: `$` would lose what comes between two reads.
        """
        if not _ENTRY_ID.fullmatch(cursor):
            raise ValueError(f"a cursor is an entry id, not {cursor!r}")
        self.remove(key)
        redis = server_of(self._redis, key)
        part = min((part for part in self._parts if part.redis is redis), key=len, default=None)
        if part is None or len(part) >= READER_STREAMS:
            part = ReaderConnection(redis, isinstance(self._redis, ClusterRedis), self._quiet_s, self._count_bad_entry)
            self._parts.append(part)
            self._crew.join(part.run)
        part.add(Subscription(key, cursor.encode(), sink))

    def remove(self, key: str) -> None:
        """Hand out nothing of this stream any more, not even of a read that is under way."""
        for part in self._parts:
            part.remove(key)

    def silent_s(self, key: str) -> float:
        """Seconds for which Redis has answered reads of this stream without new entries. Time in which Redis did not
        answer does not count.
        """
        return max((part.silent_s(key) for part in self._parts), default=0.0)

    async def run(self) -> None:
        await self._crew.run()

    def _count_bad_entry(self) -> None:
        self.bad_entries += 1
        BAD_ENTRIES.inc()
