"""Redis's map from call references to calls. The relay of a call writes it, call-control reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from redis.asyncio import Redis

from bridge_common.redis.clients import redis_errors
from bridge_common.wire import call_reference
from bridge_common.wire.call_reference import ReferredCall
from bridge_common.wire.keys import LIVE_TTL_S


class CallReferences:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def bind(self, reference: str, call: ReferredCall) -> None:
        value = json.dumps({"call_id": call.call_id, "tools": call.tools, "targets": call.targets})
        async with redis_errors("storing a call reference"):
            await self._redis.set(_key(reference), value, ex=LIVE_TTL_S)

    async def find(self, reference: str) -> ReferredCall | None:
        """Return the call, or None if there is none. `reference`: as `call_reference.normalized` returns it."""
        async with redis_errors("looking up a call reference"):
            stored = await self._redis.get(_key(reference))
        if stored is None:
            return None
        found = json.loads(stored)
        return ReferredCall(found["call_id"], tuple(found["tools"]), tuple(found.get("targets", ())))

    async def forget(self, references: Sequence[str]) -> None:
        for reference in references:
            async with redis_errors("deleting a call reference"):
                await self._redis.delete(_key(reference))


def _key(reference: str) -> str:
    return f"callref:{call_reference.digest(reference)}"
