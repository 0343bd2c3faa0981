"""Media stream writer for a cluster: one connection per shard, so that an unreachable server blocks only the calls on
its own shards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from redis.asyncio import Redis

from bridge_common.base.waiting import TaskSupervisor
from bridge_common.redis.cluster import ClusterRedis, slot_of
from bridge_common.streams.writer import Outlet, StreamWriter


class ClusterWriter(StreamWriter):
    """One `StreamWriter` per slot behind the same interface."""

    def __init__(self, redis: ClusterRedis) -> None:
        super().__init__(redis, sharded=True)
        self._cluster = redis
        self._of_slot: dict[int, StreamWriter] = {}
        self._tasks = TaskSupervisor()

    def outlet(
        self, key: str, epoch: int, on_fenced: Callable[[], None], on_missing: Callable[[], None] | None = None
    ) -> Outlet:
        return self._writer_of(key).outlet(key, epoch, on_fenced, on_missing)

    async def flush(self) -> None:
        await asyncio.gather(*(writer.flush() for writer in self._of_slot.values()))

    async def run(self) -> None:
        await self._tasks.run()

    def _writer_of(self, key: str) -> StreamWriter:
        slot = slot_of(key)
        if slot not in self._of_slot:
            writer = self._of_slot[slot] = StreamWriter(self._cluster.server_of(key), sharded=True)
            self._tasks.join(writer.run)
        return self._of_slot[slot]


def stream_writer(redis: Redis) -> StreamWriter:
    """Create the writer for a single server or for a cluster, depending on `redis`."""
    return ClusterWriter(redis) if isinstance(redis, ClusterRedis) else StreamWriter(redis)
