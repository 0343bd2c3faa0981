"""References of calls in Redis: bound, found, forgotten."""

from __future__ import annotations

import json

from bridge_common.redis.clients import RedisClients
from bridge_common.store.call_references import CallReferences
from bridge_common.wire.call_reference import ReferredCall
from bridge_common.wire.keys import LIVE_TTL_S

REFERENCE = "7QK4-M2X9-RD"


async def test_a_bound_reference_is_found_until_it_is_forgotten(clients: RedisClients) -> None:
    references = CallReferences(clients.control)
    assert await references.find(REFERENCE) is None
    await references.bind(REFERENCE, ReferredCall("call_1", ("end_call", "add_note"), ("billing",)))
    assert await references.find(REFERENCE) == ReferredCall("call_1", ("end_call", "add_note"), ("billing",))
    await references.forget([REFERENCE])
    assert await references.find(REFERENCE) is None


async def test_a_reference_of_an_older_release_allows_all_targets(clients: RedisClients) -> None:
    references = CallReferences(clients.control)
    await references.bind(REFERENCE, ReferredCall("call_1", ("end_call",), ("billing",)))
    [key] = await clients.control.keys("callref:*")
    await clients.control.set(key, json.dumps({"call_id": "call_1", "tools": ["end_call"]}))
    assert await references.find(REFERENCE) == ReferredCall("call_1", ("end_call",))


async def test_redis_does_not_hold_the_reference_itself(clients: RedisClients) -> None:
    await CallReferences(clients.control).bind(REFERENCE, ReferredCall("call_1", ()))
    [key] = await clients.control.keys("callref:*")
    assert b"7QK4" not in key
    assert 0 < await clients.control.ttl(key) <= LIVE_TTL_S
