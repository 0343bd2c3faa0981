"""Media stream reader: reads the streams of many calls on one connection, and delivers each entry to its call's sink in
order.

A writer also publishes each entry on a channel with the name of the stream (`writer`). The reader accepts an entry from
the channel if it is the next one of the same writer. Channels may lose messages, streams do not: after a gap, a change
of the writer or a short silence, the stream itself is read (XREAD). Appends and publications reach the server in the
same order, so an entry that the stream rejects is not accepted from the channel either: an entry of the writer with the
higher epoch was published before.
"""

from __future__ import annotations

import re
from typing import Final

from redis.asyncio import Redis

from bridge_common.base.waiting import TaskSupervisor
from bridge_common.observability.media_metrics import BAD_ENTRIES
from bridge_common.redis.cluster import ClusterRedis, server_of
from bridge_common.streams.reader_connection import ReaderConnection
from bridge_common.streams.subscription import Sink, Subscription
from bridge_common.wire.keys import READER_STREAMS

QUIET_S: Final = 0.1
"""Interval of reads of the streams for which nothing was published meanwhile."""
_ENTRY_ID: Final = re.compile(r"\d+(-\d+)?")


class StreamReader:
    """All streams that a process reads, on one server or a cluster. `run` reads until canceled; streams may be added
    and removed at any time.
    """

    def __init__(self, redis: Redis, *, quiet_s: float = QUIET_S) -> None:
        """Create a reader. `quiet_s`: interval of reads of streams without publications. Use a shorter one if writers
        do not publish.
        """
        self._redis = redis
        self._quiet_s = quiet_s
        self._parts: list[ReaderConnection] = []
        self._tasks = TaskSupervisor()
        self.bad_entries = 0

    def add(self, key: str, cursor: str, sink: Sink) -> None:
        """Read the stream after `cursor` (an entry id; `0-0` for the start). Replaces an earlier subscription of `key`.

        Raises `ValueError` for a cursor that is not an entry id: `$` would lose entries between two reads.
        """
        if not _ENTRY_ID.fullmatch(cursor):
            raise ValueError(f"{cursor!r} is not an entry id; use 0-0 or the id of the last entry read")
        self.remove(key)
        redis = server_of(self._redis, key)
        part = min((part for part in self._parts if part.redis is redis), key=len, default=None)
        if part is None or len(part) >= READER_STREAMS:
            part = ReaderConnection(redis, isinstance(self._redis, ClusterRedis), self._quiet_s, self._count_bad_entry)
            self._parts.append(part)
            self._tasks.join(part.run)
        part.add(Subscription(key, cursor.encode(), sink))

    def remove(self, key: str) -> None:
        """Stop delivering entries of this stream, including those of a read in progress."""
        for part in self._parts:
            part.remove(key)

    def silent_s(self, key: str) -> float:
        """Return the seconds for which reads of this stream have returned no new entries. Time in which Redis did not
        reply does not count.
        """
        return max((part.silent_s(key) for part in self._parts), default=0.0)

    async def run(self) -> None:
        await self._tasks.run()

    def _count_bad_entry(self) -> None:
        self.bad_entries += 1
        BAD_ENTRIES.inc()
