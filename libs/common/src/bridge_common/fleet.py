"""Who is alive: every process writes its heartbeat into one hash, on Redis's clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from bridge_common.keys import FLEET
from bridge_common.redis_clients import command, redis_errors
from bridge_common.redis_cluster import server_of

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
        # Its clock and its hash are one server's, also in a cluster.
        self._redis = server_of(redis, FLEET)
        self._name = name
        self._kind = kind

    async def beat(self, *, capacity: int = 0, active: int = 0, draining: bool = False) -> None:
        async with redis_errors("the heartbeat"):
            now_ms = await self._now_ms()
            row = {
                "kind": self._kind,
                "capacity": capacity,
                "active": active,
                "draining": draining,
                "beat_ms": now_ms,
            }
            await self._redis.hset(FLEET, self._name, json.dumps(row))

    async def leave(self) -> None:
        async with redis_errors("leaving the fleet"):
            await self._redis.hdel(FLEET, self._name)

    async def live(self) -> dict[str, Member]:
        """The processes whose last heartbeat is younger than `DEAD_AFTER_MS`; forgets those long gone."""
        async with redis_errors("reading the fleet"):
            now_ms = await self._now_ms()
            rows: dict[bytes, bytes] = await command(self._redis, "HGETALL", FLEET)
            members = {name.decode(): _member(name.decode(), row) for name, row in rows.items()}
            gone = [name for name, member in members.items() if now_ms - member.beat_ms > _FORGET_AFTER_MS]
            if gone:
                await self._redis.hdel(FLEET, *gone)
        return {name: member for name, member in members.items() if now_ms - member.beat_ms <= DEAD_AFTER_MS}

    async def peers(self) -> list[Member]:
        """The others of our kind that are live."""
        return [
            member for name, member in (await self.live()).items() if member.kind == self._kind and name != self._name
        ]

    async def _now_ms(self) -> int:
        seconds, micros = await self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000


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
