"""Redis cluster: every slot has its own client, which follows the slot to its current server.

All keys of a call are in one slot, so a command never needs two servers, and an unreachable server blocks no calls of
other servers. Why not the library's `RedisCluster`: docs/adr/0036.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, NoReturn

from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

from bridge_common.base.errors import error_text
from bridge_common.base.waiting import time_limit
from bridge_common.redis.address import Address
from bridge_common.redis.endpoint import Endpoint
from bridge_common.redis.pool import OwnRedis
from bridge_common.wire.keys import FLEET

_ANSWER_S: Final = 0.5
_BY_STREAMS: Final = ("XREAD", "XREADGROUP")
_BY_COUNT: Final = ("EVAL", "EVALSHA")
_MANY_KEYS: Final = ("DEL", "UNLINK", "EXISTS", "MGET")
_NO_KEY: Final = ("PING", "TIME", "INFO", "ACL", "CLIENT", "CONFIG", "SCRIPT LOAD")


def slot_of(key: str | bytes) -> int:
    return int(key_slot(key.encode() if isinstance(key, str) else key))


def keys_of(command: Sequence[Any]) -> Sequence[str | bytes]:
    """Return the keys of a command. Supports only the commands that the services use."""
    name = str(command[0]).upper()
    if name in _NO_KEY:
        return ()
    if name in _BY_COUNT:
        return command[3 : 3 + int(command[2])]
    if name in _MANY_KEYS:
        return command[1:]
    if name in _BY_STREAMS:
        keys_and_ids = command[[str(part) for part in command].index("STREAMS") + 1 :]
        return keys_and_ids[: len(keys_and_ids) // 2]
    return command[1:2]


class ClusterMap:
    """Slot map of the cluster (CLUSTER SLOTS), fetched from any reachable server. `connect` creates a client of one
    server.
    """

    def __init__(self, connect: Callable[[Address], Redis], first: Address) -> None:
        self._connect = connect
        self._servers: list[Address] = [first]
        self._ranges: list[tuple[int, int, Address]] = []
        self._stale = True
        self._asking = asyncio.Lock()

    def invalidate(self) -> None:
        """Fetch the map again before the next lookup."""
        self._stale = True

    async def server_of(self, slot: int) -> Address:
        """Return the server of the slot. Raises `RedisConnectionError` if no server answers or none has the slot."""
        async with self._asking:
            if self._stale:
                await self._fetch()
                self._stale = False
        for first, last, server in self._ranges:
            if first <= slot <= last:
                return server
        self._stale = True
        raise RedisConnectionError(f"no server of the Redis cluster has slot {slot}")

    async def _fetch(self) -> None:
        reasons: list[str] = []
        for server in self._servers:
            try:
                self._ranges = await self._ask(server)
            except (RedisError, OSError, TimeoutError) as error:
                reasons.append(error_text(error))
                continue
            # Next time the server that answered is queried first; the configured server is never removed.
            known = [server, *(owner for _, _, owner in self._ranges), *self._servers[:1], *self._servers]
            self._servers = list(dict.fromkeys(known))
            return
        raise RedisConnectionError(f"no server of the Redis cluster answers ({'; '.join(reasons)})")

    async def _ask(self, server: Address) -> list[tuple[int, int, Address]]:
        client = self._connect(server)
        try:
            async with time_limit(_ANSWER_S, f"CLUSTER SLOTS of {server[0]}:{server[1]}"):
                rows: Any = await client.execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]
        finally:
            await client.aclose()
        return [(first, last, _address(primary, server)) for first, last, primary, *_ in rows]


def _address(node: Sequence[Any], queried: Address) -> Address:
    """Return the address of a node. A node that does not know its own host name is at the host of the
    queried server.
    """
    host = node[0].decode() if node[0] else ""
    return (host if host not in ("", "?") else queried[0]), int(node[1])


class ClusterEndpoint(Endpoint):
    """The server that has the slot of `key`."""

    def __init__(self, servers: ClusterMap, key: str | bytes, url_host: str) -> None:
        super().__init__(url_host)
        self._servers = servers
        self._key = key

    async def check(self, ask: Callable[..., Awaitable[Any]]) -> None:
        await ask("EXISTS", self._key)

    def invalidate(self, address: Address) -> None:
        super().invalidate(address)
        self._servers.invalidate()

    async def _look_up(self) -> Address:
        return await self._servers.server_of(slot_of(self._key))


class ClusterRedis(OwnRedis):
    """Redis client with the interface of one server. Each command goes to the client of its slot, which `make` creates
    for a key.
    """

    def __init__(self, make: Callable[[str | bytes], Redis]) -> None:
        self._make = make
        self._of_slot: dict[int, Redis] = {}
        self._scripts: dict[str, str] = {}
        super().__init__(connection_pool=self.server_of(FLEET).connection_pool)

    def server_of(self, key: str | bytes) -> Redis:
        """Return the client of the key's slot."""
        slot = slot_of(key)
        if slot not in self._of_slot:
            self._of_slot[slot] = self._make(key)
        return self._of_slot[slot]

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        keys = keys_of(args)
        if len({slot_of(key) for key in keys}) > 1:
            raise ValueError(f"{args[0]} has keys of several slots; use keys with the same hash tag")
        client = self.server_of(keys[0] if keys else FLEET)
        try:
            return await client.execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except NoScriptError:
            script = self._scripts.get(str(args[1]))
            if script is None:
                raise
            return await client.execute_command("EVAL", script, *args[2:], **options)  # type: ignore[no-untyped-call]

    def register_script(self, script: Any) -> Any:
        """Register a Lua script. For a server that does not have it, the command contains its text (EVAL)."""
        registered = super().register_script(script)
        self._scripts[registered.sha] = script
        return registered

    def pipeline(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("a pipeline needs one server; use `server_of(key).pipeline()`")

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        async with AsyncExitStack() as stack:
            for client in self._of_slot.values():
                stack.push_async_callback(client.aclose, close_connection_pool)


def server_of(redis: Redis, key: str) -> Redis:
    """Return the client of the key's server in a cluster, otherwise `redis` itself."""
    return redis.server_of(key) if isinstance(redis, ClusterRedis) else redis
