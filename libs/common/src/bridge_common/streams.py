"""Media streams: `StreamWriter` with its `Outlet`s, and `StreamReader`."""

from __future__ import annotations

from redis.asyncio import Redis

from bridge_common.cluster_writer import ClusterWriter
from bridge_common.redis_cluster import ClusterRedis
from bridge_common.stream_reader import StreamReader
from bridge_common.stream_subscription import Sink
from bridge_common.stream_writer import Outlet, StreamWriter

__all__ = ["Outlet", "Sink", "StreamReader", "StreamWriter", "stream_writer"]


def stream_writer(redis: Redis) -> StreamWriter:
    """One for a single server or for a cluster."""
    return ClusterWriter(redis) if isinstance(redis, ClusterRedis) else StreamWriter(redis)
