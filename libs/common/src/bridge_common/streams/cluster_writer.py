"""The writing end of the media streams on a cluster: a connection for each shard, so that a server that is away holds
up only the calls that are there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from redis.asyncio import Redis

from bridge_common.base.waiting import TaskSupervisor
from bridge_common.redis.cluster import ClusterRedis, slot_of
from bridge_common.streams.writer import Outlet, StreamWriter


class ClusterWriter(StreamWriter):
    """As one `StreamWriter` over all shards."""

    def __init__(self, redis: ClusterRedis) -> None:
        super().__init__(redis, sharded=True)
        self._cluster = redis
        self._of_slot: dict[int, StreamWriter] = {}
        self._crew = TaskSupervisor()

    def outlet(
        self, key: str, epoch: int, on_fenced: Callable[[], None], on_missing: Callable[[], None] | None = None
    ) -> Outlet:
        return self._writer_of(key).outlet(key, epoch, on_fenced, on_missing)

    async def flush(self) -> None:
        await asyncio.gather(*(writer.flush() for writer in self._of_slot.values()))

    async def run(self) -> None:
        await self._crew.run()

    def _writer_of(self, key: str) -> StreamWriter:
        slot = slot_of(key)
        if slot not in self._of_slot:
            writer = self._of_slot[slot] = StreamWriter(self._cluster.server_of(key), sharded=True)
            self._crew.join(writer.run)
        return self._of_slot[slot]


def stream_writer(redis: Redis) -> StreamWriter:
    """One for a single server or for a cluster."""
    return ClusterWriter(redis) if isinstance(redis, ClusterRedis) else StreamWriter(redis)
