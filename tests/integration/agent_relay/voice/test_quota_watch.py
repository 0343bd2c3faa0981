"""The quota of each Voice Live resource as a metric."""

from __future__ import annotations

import asyncio
import contextlib

from agent_relay.voice.connection_quota import ConnectionQuota, Urgency
from agent_relay.voice.quota_watch import QuotaWatch
from bridge_common.observability.telemetry import REGISTRY
from bridge_common.redis.clients import RedisClients
from tests.support.eventually import eventually

RESOURCE = "watched.services.ai.azure.com"


def connections(kind: str, resource: str = RESOURCE) -> float | None:
    return REGISTRY.get_sample_value("bridge_voice_quota_connections", {"resource": resource, "kind": kind})


async def test_the_metric_follows_the_quota_of_the_fleet(clients: RedisClients) -> None:
    quota = ConnectionQuota(clients.control, 10)
    watching = asyncio.create_task(QuotaWatch(quota, lambda: [RESOURCE], poll_s=0.02).run())
    await eventually(lambda: connections("free") == 10)
    assert connections("limit") == 10
    another_relay = ConnectionQuota(clients.control, 10)
    for _ in range(3):
        await another_relay.take(RESOURCE, Urgency.NEW)
    await eventually(lambda: connections("free") == 7)
    await another_relay.pause(RESOURCE, 30)
    await eventually(lambda: connections("free") == 0)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


async def test_without_a_limit_there_is_no_metric(clients: RedisClients) -> None:
    await QuotaWatch(ConnectionQuota(clients.control, 0), lambda: ["unlimited"]).run()
    assert connections("limit", "unlimited") is None
