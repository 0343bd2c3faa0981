"""Address of a Redis server that may change: the primary chosen by sentinels.

A connection asks its endpoint for the address each time it opens, has the server checked once connected, and is
aborted when the server has lost its role. The abort matters most: after a planned failover the old primary stays
writable for seconds until a sentinel demotes it, and writes in that time are lost (docs/adr/0036).
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol
from weakref import WeakSet

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from bridge_common.base.errors import error_text
from bridge_common.base.log import fields
from bridge_common.base.waiting import time_limit
from bridge_common.redis.address import Address

log = logging.getLogger(__name__)

_ANSWER_S: Final = 0.5
"""Timeout of a query to a sentinel."""
_RETRY_S: Final = 0.5
_SWITCH: Final = "+switch-master"


class Movable(Protocol):
    """The part of a connection that its endpoint uses."""

    @property
    def address(self) -> Address: ...

    def abort(self) -> None: ...


class Endpoint(ABC):
    """The server that currently has a role, such as primary, or a slot. `url_host`: host of `REDIS_URL`, for the check
    of the server's certificate (`certificate_name`).
    """

    def __init__(self, url_host: str = "") -> None:
        self.url_host = url_host
        self._address: Address | None = None
        self._connections: WeakSet[Movable] = WeakSet()
        self._finding = asyncio.Lock()

    async def find(self) -> Address:
        """Return the cached address, otherwise look it up. Raises `RedisConnectionError` if the lookup fails."""
        if self._address is None:
            async with self._finding:
                if self._address is None:
                    self._address = await self._look_up()
        return self._address

    def register(self, connection: Movable) -> None:
        """Add a connection that is aborted when its server is evicted."""
        self._connections.add(connection)

    def invalidate(self, address: Address) -> None:
        """Forget this address after a failed connection, so that the next connection looks it up again."""
        if self._address == address:
            self._address = None

    def evict(self, address: Address) -> None:
        """Abort all connections to a server that does not have the role (any more)."""
        self.invalidate(address)
        for connection in list(self._connections):
            if connection.address == address:
                connection.abort()

    def has_moved_from(self, address: Address) -> bool:
        """Whether another server is known to have the role."""
        return self._address is not None and self._address != address

    @abstractmethod
    async def check(self, ask: Callable[..., Awaitable[Any]]) -> None:
        """Check that a new connection goes to the right server. Raises `RedisConnectionError` if it does not. `ask`
        sends a command over the connection.
        """

    @abstractmethod
    async def _look_up(self) -> Address: ...

    async def aclose(self) -> None:  # noqa: B027  # most endpoints have nothing to close
        """Stop watching for changes."""


class FixedEndpoint(Endpoint):
    """One server, regardless of its role."""

    def __init__(self, address: Address, url_host: str = "") -> None:
        super().__init__(url_host)
        self._fixed = address

    async def check(self, ask: Callable[..., Awaitable[Any]]) -> None: ...

    async def _look_up(self) -> Address:
        return self._fixed


@dataclass(frozen=True, slots=True)
class _Opinion:
    """Reply of one sentinel. The reply with the highest epoch reflects the latest failover."""

    epoch: int
    address: Address
    down: bool


class SentinelEndpoint(Endpoint):
    """The primary that the sentinels call `service`. After the first lookup it subscribes to the switch notifications
    of each sentinel.
    """

    def __init__(self, sentinels: Sequence[Redis], service: str, url_host: str = "") -> None:
        super().__init__(url_host)
        self._sentinels = sentinels
        self._service = service
        self._epoch = -1
        self._watching: list[asyncio.Task[None]] = []

    async def check(self, ask: Callable[..., Awaitable[Any]]) -> None:
        greeting = await ask("HELLO")
        if greeting.get(b"role") != b"master":
            where = "{}:{}".format(*self._address) if self._address else "the server"
            raise RedisConnectionError(f"{where} is a replica now, not the primary of {self._service}")

    async def _look_up(self) -> Address:
        if not self._watching:
            self._watching = [asyncio.create_task(self._watch(sentinel)) for sentinel in self._sentinels]
        epoch = self._epoch
        found = await self._best_opinion()
        if found.down:
            raise RedisConnectionError(f"the primary of {self._service} is down; no other has been elected yet")
        if -1 < epoch < found.epoch:
            self._log_switch(found)
        return found.address

    async def _best_opinion(self) -> _Opinion:
        answers = await asyncio.gather(*(self._ask(sentinel) for sentinel in self._sentinels), return_exceptions=True)
        opinions = [answer for answer in answers if isinstance(answer, _Opinion) and answer.epoch >= self._epoch]
        if not opinions:
            reasons = sorted(
                {f"{type(one).__name__}: {error_text(one)}" for one in answers if isinstance(one, BaseException)}
            )
            raise RedisConnectionError(f"no sentinel knows the primary of {self._service} ({'; '.join(reasons)})")
        best = max(opinions, key=lambda one: (one.epoch, not one.down))
        self._epoch = best.epoch
        return best

    async def _ask(self, sentinel: Redis) -> _Opinion:
        async with time_limit(_ANSWER_S, "the reply of a sentinel"):
            answer: Any = await sentinel.execute_command("SENTINEL", "MASTER", self._service)  # type: ignore[no-untyped-call]
        return _opinion(answer)

    async def _watch(self, sentinel: Redis) -> None:
        """Keep a subscription to the switch notifications of this sentinel."""
        while True:
            with suppress(RedisError, OSError):
                await self._listen(sentinel)
            await asyncio.sleep(_RETRY_S)

    async def _listen(self, sentinel: Redis) -> None:
        async with sentinel.pubsub() as notifications:
            await notifications.subscribe(_SWITCH)
            # Also after the subscribe reply itself: earlier notifications were missed.
            async for _ in notifications.listen():
                await self._follow()

    async def _follow(self) -> None:
        before = self._address
        if before is None:
            return
        with suppress(RedisConnectionError):
            found = await self._best_opinion()
            if found.address != before and self._address == before:
                self._log_switch(found)
                self._address = found.address
                self.evict(before)

    def _log_switch(self, opinion: _Opinion) -> None:
        log.warning("Redis has another primary", extra=fields(service=self._service, epoch=opinion.epoch))

    async def aclose(self) -> None:
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        for sentinel in self._sentinels:
            await sentinel.aclose()


def _opinion(answer: Any) -> _Opinion:
    """Parse the reply to SENTINEL MASTER: names and values, as a map in RESP3 and as a flat list in RESP2."""
    found = answer if isinstance(answer, Mapping) else dict(zip(answer[::2], answer[1::2], strict=True))
    down = {b"s_down", b"o_down"} & set(found[b"flags"].split(b","))
    return _Opinion(int(found[b"config-epoch"]), (found[b"ip"].decode(), int(found[b"port"])), bool(down))
