"""Fleet membership: every process writes its heartbeat into one hash, on Redis's clock.

Readiness follows the heartbeat: a Redis that answers PING may still reject every script (ACL, full memory, a cluster
that is configured as one server), and then no call can be accepted.

Older and newer processes share the hash: unknown fields of a row are ignored, missing ones have defaults.
"""

from __future__ import annotations

import json
import logging
import math
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from redis.asyncio import Redis

from bridge_common.base.errors import OutsideError
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.base.refusals import Fault
from bridge_common.observability.telemetry import REDIS_OUTAGES
from bridge_common.redis.clients import command, redis_errors
from bridge_common.redis.scripts import script_folder
from bridge_common.wire.keys import FLEET, Keys

log = logging.getLogger(__name__)

BEAT_S: Final = 0.25
DEAD_AFTER_MS: Final = 1000
_FORGET_AFTER_MS: Final = 60_000
_MOST_CALLS: Final = 10_000
MISSED_AFTER_S: Final = 1.5
"""Maximum age of the last stored heartbeat (six intervals); when it is older, this is a fault of the process."""


@dataclass(frozen=True, slots=True)
class Member:
    """One process of the fleet. `kind`: `call-control`, …; `capacity` and `active`: maximum and current number of
    calls, of call-control inbox entries. `version` and `host` are empty for a process of 0.1.0.
    """

    name: str
    kind: str
    capacity: int
    active: int
    draining: bool
    beat_ms: int
    version: str = ""
    host: str = ""
    """Host name of the process: on Kubernetes, the name of its pod."""


class Fleet:
    """The fleet as one process uses it. `keys`: keys of all calls, for a process whose readiness depends on Redis.
    `host`: name of the machine or pod in the heartbeat; by default that of this one.
    """

    def __init__(
        self,
        redis: Redis,
        name: str,
        kind: str,
        keys: Keys | None = None,
        *,
        host: str = "",
        missed_after_s: float = MISSED_AFTER_S,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._within_reach = False
        self._beat_at = -math.inf
        self._refusal = ""
        self._outage = OutageLogger(log, begun="failed to write heartbeat", over="heartbeat recovered")
        self._name = name
        self._kind = kind
        self._missed_after_s = missed_after_s
        self._origin = {"version": version("bridge-common"), "host": host or socket.gethostname()}
        script = script_folder(redis, "bridge_common.store")
        self._beat = script("fleet_beat")
        self._live = script("fleet_live")

    async def beat(self, *, capacity: int = 0, active: int = 0, draining: bool = False) -> None:
        """Write the heartbeat. Logs the start and end of an outage, and raises `OutsideError`."""
        row = {"kind": self._kind, "capacity": capacity, "active": active, "draining": draining, **self._origin}
        try:
            async with redis_errors("writing the heartbeat"):
                if not self._within_reach:
                    await self._reach_for_calls()
                await self._beat(keys=[FLEET], args=[self._name, json.dumps(row)])
        except OutsideError as error:
            self._refusal, self._within_reach = error.message, False
            if self._outage.failed(error=error.message):
                REDIS_OUTAGES.labels("control").inc()
            raise
        self._refusal, self._within_reach = "", True
        self._outage.worked()
        self._beat_at = time.monotonic()

    @property
    def name(self) -> str:
        """Name of this process."""
        return self._name

    @property
    def beat_age_s(self) -> float:
        """Seconds since Redis stored a heartbeat; infinite before the first."""
        return time.monotonic() - self._beat_at

    @property
    def fault(self) -> Fault | None:
        """The fault of this process while Redis stores no heartbeat of it."""
        age_s = self.beat_age_s
        if age_s < self._missed_after_s:
            return None
        waited = f" for {age_s:.1f} s" if age_s < math.inf else ""
        return Fault(self._refusal or f"Redis has not stored a heartbeat{waited}", age_s)

    async def _reach_for_calls(self) -> None:
        """Read a stream of every shard in one command, as every service does. Done before the first heartbeat and after
        a failure.

        A cluster that is configured as one server rejects that read even if it stores the heartbeat.
        """
        if self._keys is not None and not self._keys.spread:
            streams = [self._keys.inbox(tag) for tag in self._keys.all_tags()]
            await command(self._redis, "XREAD", "COUNT", 1, "STREAMS", *streams, *["$"] * len(streams))

    async def leave(self) -> None:
        async with redis_errors("leaving the fleet"):
            await self._redis.hdel(FLEET, self._name)

    async def live(self) -> dict[str, Member]:
        """Return members whose last heartbeat is at most `DEAD_AFTER_MS` old. Deletes those that have been dead for
        long.
        """
        async with redis_errors("reading the fleet"):
            now_ms, stored = await self._live(keys=[FLEET])
            rows = zip(stored[::2], stored[1::2], strict=True)
            members = {one.name: one for one in (_member(name.decode(errors="replace"), row) for name, row in rows)}
            gone = [name for name, member in members.items() if now_ms - member.beat_ms > _FORGET_AFTER_MS]
            if gone:
                await self._redis.hdel(FLEET, *gone)
        return {name: member for name, member in members.items() if now_ms - member.beat_ms <= DEAD_AFTER_MS}

    async def peers(self) -> list[Member]:
        """Return the other live members of the same kind."""
        return [
            member for name, member in (await self.live()).items() if member.kind == self._kind and name != self._name
        ]


def _member(name: str, row: bytes) -> Member:
    """Decode a member. A row that cannot be decoded counts as expired and is deleted."""
    try:
        found = json.loads(row)
        if isinstance(found, Mapping):
            return Member(
                name=name,
                kind=str(found["kind"]),
                capacity=_calls(found["capacity"]),
                active=_calls(found["active"]),
                draining=bool(found["draining"]),
                beat_ms=int(found["beat_ms"]),
                version=str(found.get("version", "")),
                host=str(found.get("host", "")),
            )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        pass
    return Member(name=name, kind="", capacity=0, active=0, draining=False, beat_ms=0)


def _calls(value: Any) -> int:
    """Return a number of calls that a process can have: one wrong row must not scale the whole fleet."""
    return min(max(int(value), 0), _MOST_CALLS)
