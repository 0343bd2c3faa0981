"""Who is alive: every process writes its heartbeat into one hash, on Redis's clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from bridge_common import scripts
from bridge_common.keys import FLEET
from bridge_common.redis_clients import redis_errors

BEAT_S: Final = 0.25
DEAD_AFTER_MS: Final = 1000
_FORGET_AFTER_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Member:
    """One process: its kind (`call-control`, …), how many calls it takes and has, whether it drains."""

    name: str
    kind: str
    capacity: int
    active: int
    draining: bool
    beat_ms: int


class Fleet:
    def __init__(self, redis: Redis, name: str, kind: str) -> None:
        self._redis = redis
        self._name = name
        self._kind = kind
        self._beat = redis.register_script(scripts.BEAT)
        self._live = redis.register_script(scripts.LIVE_FLEET)

    async def beat(self, *, capacity: int = 0, active: int = 0, draining: bool = False) -> None:
        row = {"kind": self._kind, "capacity": capacity, "active": active, "draining": draining}
        async with redis_errors("the heartbeat"):
            await self._beat(keys=[FLEET], args=[self._name, json.dumps(row)])

    async def leave(self) -> None:
        async with redis_errors("leaving the fleet"):
            await self._redis.hdel(FLEET, self._name)

    async def live(self) -> dict[str, Member]:
        """The processes whose last heartbeat is younger than `DEAD_AFTER_MS`; forgets those long gone."""
        async with redis_errors("reading the fleet"):
            now_ms, stored = await self._live(keys=[FLEET])
            rows = zip(stored[::2], stored[1::2], strict=True)
            members = {name.decode(): _member(name.decode(), row) for name, row in rows}
            gone = [name for name, member in members.items() if now_ms - member.beat_ms > _FORGET_AFTER_MS]
            if gone:
                await self._redis.hdel(FLEET, *gone)
        return {name: member for name, member in members.items() if now_ms - member.beat_ms <= DEAD_AFTER_MS}

    async def peers(self) -> list[Member]:
        """The others of our kind that are live."""
        return [
            member for name, member in (await self.live()).items() if member.kind == self._kind and name != self._name
        ]


def _member(name: str, row: bytes) -> Member:
    """Fields of a newer version are ignored; a row that is no heartbeat counts as one of long ago and is forgotten."""
    try:
        found = json.loads(row)
        if isinstance(found, Mapping):
            return Member(
                name=name,
                kind=str(found["kind"]),
                capacity=int(found["capacity"]),
                active=int(found["active"]),
                draining=bool(found["draining"]),
                beat_ms=int(found["beat_ms"]),
            )
    except (ValueError, TypeError, KeyError):
        pass
    return Member(name=name, kind="", capacity=0, active=0, draining=False, beat_ms=0)
