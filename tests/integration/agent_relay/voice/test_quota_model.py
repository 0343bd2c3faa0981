"""The simulated quota of the capacity model grants the same connections as the scripts in Redis."""

from __future__ import annotations

from random import Random

from agent_relay.voice.connection_quota import ConnectionQuota, Urgency
from bridge_common.redis.clients import RedisClients
from sizing.simulation.token_quota import TokenQuota

RESOURCES = ("a.services.ai.azure.com", "b.services.ai.azure.com")


async def test_the_model_grants_what_redis_grants(clients: RedisClients) -> None:
    """As many requests as are possible within a fraction of a second: no token returns."""
    real, model, random = ConnectionQuota(clients.control, 30), TokenQuota(len(RESOURCES), 30), Random(1)
    for _ in range(100):
        urgency = random.choice(list(Urgency))
        begun_on = random.choice([None, 0, 1])
        order = sorted(range(len(RESOURCES)), key=lambda one: one != begun_on) if begun_on is not None else range(2)
        granted = None
        for resource in order:
            if (await real.take(RESOURCES[resource], urgency)).token:
                granted = resource
                break
        assert model.take(0.0, urgency, begun_on).resource == granted
        for resource, name in enumerate(RESOURCES):
            assert model.free(0.0, resource, urgency) == await real.free(name, urgency)
