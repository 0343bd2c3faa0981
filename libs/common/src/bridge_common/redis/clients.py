"""The three ways we talk to Redis, and why the library's defaults serve none of them.

redis-py 8 retries silently up to ten times and ends any reply after 5 s: a blocking read then fails only after a
minute, and a retried append without explicit ids stands twice in the stream. So: `media` never retries and gives up
fast, `blocking` waits for longer than any BLOCK we send, `control` retries scripts that may run twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pydantic import SecretStr
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bridge_common.base.errors import OutsideError, error_text
from bridge_common.redis.address import Address, RedisAddress, parse_address
from bridge_common.redis.cluster import ClusterEndpoint, ClusterMap, ClusterRedis, slot_of
from bridge_common.redis.connections import OWN_CLASSES, RenewedCredentials
from bridge_common.redis.endpoint import Endpoint, FixedEndpoint, SentinelEndpoint
from bridge_common.redis.pool import NO_MAINTENANCE_NOTIFICATIONS, OwnPool, OwnRedis

MAX_BLOCK_MS: Final = 1000
"""No command of ours blocks for longer: a pooled connection must come back to be re-authenticated."""
_MEDIA_TIMEOUT_S: Final = 0.5
_BLOCKING_TIMEOUT_S: Final = MAX_BLOCK_MS / 1000 + 0.5
_CONTROL_TIMEOUT_S: Final = 1.0
_SENTINEL_TIMEOUT_S: Final = 0.5
_CONNECTIONS: Final = 8
"""Of a client whose commands take a moment. When all are busy the next command waits for one; in the library's default
pool it fails. They are kept once they are open.
"""
_BLOCKING_CONNECTIONS: Final = 64
"""Of one whose commands wait: each has a connection of its own meanwhile."""
_POOL_TIMEOUT_S: Final = 2.0

_PASSING: Final = frozenset(
    {
        "READONLY",
        "OOM",
        "CLUSTERDOWN",
        "MASTERDOWN",
        "TRYAGAIN",
        "MISCONF",
        "NOREPLICAS",
        "LOADING",
        "BUSY",
        "MOVED",
        "ASK",
    }
)

_PASSING_ERRORS: Final = (
    *(ReadOnlyError, OutOfMemoryError, MasterDownError),
    *(ClusterDownError, TryAgainError, AskError),
)


class RedisSettings(Protocol):
    """The part of a service's settings that the clients are made from."""

    @property
    def redis_url(self) -> SecretStr: ...

    @property
    def redis_cluster(self) -> bool: ...

    @property
    def redis_entra(self) -> bool: ...

    @property
    def redis_entra_scope(self) -> str: ...

    @property
    def redis_address(self) -> RedisAddress: ...


@dataclass(frozen=True, slots=True)
class RedisClients:
    """Byte replies from all three."""

    media: Redis
    blocking: Redis
    control: Redis
    place: Endpoint | None = None
    """Where they connect to, if that may change."""
    credentials: RenewedCredentials | None = None
    """What they sign in with, if that is renewed."""

    async def warm_up(self) -> None:
        """Open all connections of `control`, with the scripts loaded: no burst of calls waits for a handshake or a
        script, and the number of connections never grows.

        Not on a cluster, where nobody knows yet which servers will be asked. Without Redis nothing happens: connections
        are then made when they are needed.
        """
        if isinstance(self.control, ClusterRedis):
            return
        pool = self.control.connection_pool
        with suppress(RedisError, OSError):
            async with AsyncExitStack() as stack:
                for _ in range(_CONNECTIONS):
                    connection = await pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py leaves it bare
                    stack.push_async_callback(pool.release, connection)

    async def aclose(self) -> None:
        """Close all three, also when closing one of them fails. What they rely on ends first."""
        async with AsyncExitStack() as stack:
            for client in (self.media, self.blocking, self.control):
                stack.push_async_callback(client.aclose)
            for kept in (self.place, self.credentials):
                if kept is not None:
                    stack.push_async_callback(kept.aclose)


def open_clients(url: str, *, cluster: bool = False, credentials: RenewedCredentials | None = None) -> RedisClients:
    """Makes the clients of one process; connects at first use. `url`: see `parse_address`."""
    address = parse_address(url)
    if cluster:
        return _cluster_clients(address, credentials)
    place = _sentinel_place(address) if address.sentinels else None

    def client(timeout_s: float, retries: int, connections: int) -> Redis:
        return _client(address.url, place, credentials, timeout_s=timeout_s, retries=retries, connections=connections)

    return _three(client, place, credentials)


def _cluster_clients(address: RedisAddress, credentials: RenewedCredentials | None) -> RedisClients:
    """`address`: one server of the cluster."""
    places: dict[int, ClusterEndpoint] = {}

    def connect(server: Address) -> Redis:
        place = FixedEndpoint(server, address.host)
        return _client(address.url, place, credentials, timeout_s=_CONTROL_TIMEOUT_S, retries=0)

    servers = ClusterMap(connect, (address.host, address.port))

    def client(timeout_s: float, retries: int, connections: int) -> Redis:
        scripts: set[str] = set()

        def of_slot(key: str | bytes) -> Redis:
            place = places.setdefault(slot_of(key), ClusterEndpoint(servers, key, address.host))
            return _client(
                *(address.url, place, credentials, scripts),
                timeout_s=timeout_s,
                retries=retries,
                connections=connections,
            )

        return ClusterRedis(of_slot)

    return _three(client, None, credentials)


def _three(
    client: Callable[[float, int, int], Redis], place: Endpoint | None, credentials: RenewedCredentials | None
) -> RedisClients:
    return RedisClients(
        media=client(_MEDIA_TIMEOUT_S, 0, _CONNECTIONS),
        blocking=client(_BLOCKING_TIMEOUT_S, 0, _BLOCKING_CONNECTIONS),
        control=client(_CONTROL_TIMEOUT_S, 2, _CONNECTIONS),
        place=place,
        credentials=credentials,
    )


def clients_of(settings: RedisSettings) -> RedisClients:
    """The clients that the settings ask for."""
    url = settings.redis_url.get_secret_value()
    return open_clients(url, cluster=settings.redis_cluster, credentials=_credentials_of(settings))


def _credentials_of(settings: RedisSettings) -> RenewedCredentials | None:
    if not settings.redis_entra:
        return None
    # azure-identity is much to load where it is not used.
    from bridge_common.redis.credentials import EntraCredentials

    return EntraCredentials(settings.redis_entra_scope, settings.redis_address.user)


def _client(
    url: str,
    place: Endpoint | None,
    credentials: RenewedCredentials | None,
    scripts: set[str] | None = None,
    *,
    timeout_s: float,
    retries: int,
    connections: int = _CONNECTIONS,
) -> Redis:
    backoff = ExponentialBackoff(cap=0.2, base=0.02) if retries else NoBackoff()
    address: dict[str, Any] = dict(parse_url(url))
    ours: dict[str, Any] = {
        "connection_class": OWN_CLASSES[address.get("connection_class", Connection)],
        "place": place,
        "scripts": set() if scripts is None else scripts,
        "max_connections": connections,
        "timeout": _POOL_TIMEOUT_S,
        "protocol": 3,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": 1.0,
        "socket_keepalive": True,
        "retry": Retry(backoff, retries, supported_errors=(RedisConnectionError, RedisTimeoutError)),
        "health_check_interval": 0,
    }
    if credentials is not None:
        ours |= {"credential_provider": credentials, "username": None, "password": None}
    if "path" in address:
        del ours["socket_keepalive"]
    return OwnRedis.from_pool(OwnPool(**(address | ours)))


def _sentinel_place(address: RedisAddress) -> SentinelEndpoint:
    sentinels = []
    for host, port in address.sentinels:
        options: dict[str, Any] = dict(parse_url(address.url))
        ours = {
            "connection_class": OWN_CLASSES[options.get("connection_class", Connection)],
            "host": host,
            "port": port,
            "db": 0,
            "username": address.sentinel_username or None,
            "password": address.sentinel_password or None,
            "protocol": 3,
            "socket_timeout": _SENTINEL_TIMEOUT_S,
            "socket_connect_timeout": _SENTINEL_TIMEOUT_S,
            "retry": Retry(NoBackoff(), 0),
            "maint_notifications_config": NO_MAINTENANCE_NOTIFICATIONS,
        }
        sentinels.append(Redis.from_pool(ConnectionPool(**(options | ours))))
    return SentinelEndpoint(sentinels, address.service, address.host)


async def command(redis: Redis, *args: str | bytes | int, **options: object) -> Any:
    """One command by name, with the library's reply parsing for it.

    The library's own methods are annotated with the union of all protocols' replies; here the caller states the type
    that RESP3 with byte replies gives.
    """
    return await redis.execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py leaves it bare


def is_passing(error: ResponseError) -> bool:
    """Whether the server refused for a state of its own (failover, full memory, failed save), not for the command."""
    if isinstance(error, _PASSING_ERRORS):
        return True
    return refusal_is_passing(str(error))


def refusal_is_passing(text: str) -> bool:
    """The same of an error reply as it came: its first word is Redis's code."""
    return text.partition(" ")[0] in _PASSING


@asynccontextmanager
async def redis_errors(doing: str) -> AsyncIterator[None]:
    """Turns what redis-py raises into `OutsideError`; a command refused for its content is not worth a retry."""
    try:
        yield
    except ResponseError as error:
        raise OutsideError(f"Redis refused {doing}: {error_text(error)}", retry=is_passing(error)) from error
    except (RedisError, OSError) as error:
        raise OutsideError(f"Redis did not answer while {doing}: {error_text(error)}", retry=True) from error
