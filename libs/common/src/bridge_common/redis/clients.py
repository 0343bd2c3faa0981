"""The three Redis clients of a process, which replace the library's defaults for timeouts and retries.

redis-py 8 retries silently up to ten times and waits 5 s for each reply: a blocking read then fails only after a
minute, and a retried append without an explicit id is stored twice. So `media` never retries and fails fast,
`blocking` waits for longer than any BLOCK that the services send, `control` retries idempotent scripts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

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
from bridge_common.redis.connections import OWN_CLASSES
from bridge_common.redis.endpoint import Endpoint, FixedEndpoint, SentinelEndpoint
from bridge_common.redis.pool import NO_MAINTENANCE_NOTIFICATIONS, OwnPool, OwnRedis
from bridge_common.redis.replies import refusal_is_passing

if TYPE_CHECKING:
    # Imported on demand: azure-identity is large.
    from bridge_common.redis.credentials import EntraCredentials

MAX_BLOCK_MS: Final = 1000
"""Longest BLOCK of any command: a pooled connection must be released regularly to open again for a renewed token."""
_SENTINEL_TIMEOUT_S: Final = 0.5
_POOL_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class RedisLimits:
    """Limits of one client. `timeout_s`: time limit of a reply. When all `connections` are busy, the next command waits
    for one.
    """

    timeout_s: float
    retries: int = 0
    connections: int = 8


_MEDIA: Final = RedisLimits(timeout_s=0.5)
_BLOCKING: Final = RedisLimits(timeout_s=MAX_BLOCK_MS / 1000 + 0.5, connections=64)
_CONTROL: Final = RedisLimits(timeout_s=1.0, retries=2)
_LOOKUP: Final = RedisLimits(timeout_s=1.0)

_PASSING_ERRORS: Final = (
    *(ReadOnlyError, OutOfMemoryError, MasterDownError),
    *(ClusterDownError, TryAgainError, AskError),
)


class RedisSettings(Protocol):
    """The settings that the clients depend on."""

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
    """The three clients of a process. All return replies as bytes."""

    media: Redis
    blocking: Redis
    control: Redis
    endpoint: Endpoint | None = None
    """Finds the current address of the primary; None if the address is fixed or belongs to a cluster."""
    credentials: EntraCredentials | None = None
    """Credentials with Entra tokens, which are renewed; None if `REDIS_URL` contains the credentials."""

    async def warm_up(self) -> None:
        """Open all connections of `control` and load the scripts, so that a burst of calls waits for neither.

        Does nothing on a cluster, where the required servers are not known yet. If Redis is unreachable, connections
        are opened on demand.
        """
        if isinstance(self.control, ClusterRedis):
            return
        pool = self.control.connection_pool
        with suppress(RedisError, OSError):
            async with AsyncExitStack() as stack:
                for _ in range(_CONTROL.connections):
                    connection = await pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py leaves it bare
                    stack.push_async_callback(pool.release, connection)

    async def aclose(self) -> None:
        """Close all three clients, even if closing one of them fails. `credentials` and `endpoint` are closed first."""
        async with AsyncExitStack() as stack:
            for client in (self.media, self.blocking, self.control):
                stack.push_async_callback(client.aclose)
            for kept in (self.endpoint, self.credentials):
                if kept is not None:
                    stack.push_async_callback(kept.aclose)


def open_clients(url: str, *, cluster: bool = False, credentials: EntraCredentials | None = None) -> RedisClients:
    """Create the clients of one process. They connect at first use. `url`: see `parse_address`."""
    address = parse_address(url)
    endpoint: Endpoint | None = None
    if cluster:
        connect = _cluster_connector(address, credentials)
    else:
        endpoint = _sentinel_endpoint(address) if address.sentinels else None
        connect = partial(open_client, address.url, endpoint, credentials)
    return RedisClients(connect(_MEDIA), connect(_BLOCKING), connect(_CONTROL), endpoint, credentials)


def _cluster_connector(address: RedisAddress, credentials: EntraCredentials | None) -> Callable[[RedisLimits], Redis]:
    """Return a function that creates a cluster client. `address`: one server of the cluster."""
    endpoints: dict[int, ClusterEndpoint] = {}

    def look_up(server: Address) -> Redis:
        return open_client(address.url, FixedEndpoint(server, address.host), credentials, _LOOKUP)

    servers = ClusterMap(look_up, (address.host, address.port))

    def connect(limits: RedisLimits) -> Redis:
        scripts: set[str] = set()

        def of_slot(key: str | bytes) -> Redis:
            endpoint = endpoints.setdefault(slot_of(key), ClusterEndpoint(servers, key, address.host))
            return open_client(address.url, endpoint, credentials, limits, scripts)

        return ClusterRedis(of_slot)

    return connect


def clients_of(settings: RedisSettings) -> RedisClients:
    credentials = None
    if settings.redis_entra:
        from bridge_common.redis.credentials import EntraCredentials

        credentials = EntraCredentials(settings.redis_entra_scope, settings.redis_address.user)
    url = settings.redis_url.get_secret_value()
    return open_clients(url, cluster=settings.redis_cluster, credentials=credentials)


def open_client(
    url: str,
    endpoint: Endpoint | None,
    credentials: EntraCredentials | None,
    limits: RedisLimits,
    scripts: set[str] | None = None,
) -> Redis:
    """Create one client. `scripts`: Lua scripts that each of its connections loads; the clients of a cluster's slots
    share this set.
    """
    backoff = ExponentialBackoff(cap=0.2, base=0.02) if limits.retries else NoBackoff()
    address: dict[str, Any] = dict(parse_url(url))
    ours: dict[str, Any] = {
        "connection_class": OWN_CLASSES[address.get("connection_class", Connection)],
        "endpoint": endpoint,
        "credentials": credentials,
        "scripts": set() if scripts is None else scripts,
        "max_connections": limits.connections,
        "timeout": _POOL_TIMEOUT_S,
        "protocol": 3,
        "socket_timeout": limits.timeout_s,
        "socket_connect_timeout": 1.0,
        "socket_keepalive": True,
        "retry": Retry(backoff, limits.retries, supported_errors=(RedisConnectionError, RedisTimeoutError)),
        "health_check_interval": 0,
    }
    if credentials is not None:
        ours |= {"username": None, "password": None}
    if "path" in address:
        del ours["socket_keepalive"]
    return OwnRedis.from_pool(OwnPool(**(address | ours)))


def _sentinel_endpoint(address: RedisAddress) -> SentinelEndpoint:
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
    """Run one command by name and return the reply as redis-py parses it.

    The methods of redis-py are annotated with the union of all protocols' replies; here the caller states the type that
    RESP3 with byte replies has.
    """
    return await redis.execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py leaves it bare


def is_passing(error: ResponseError) -> bool:
    """Whether the error is temporary: due to the state of the server (failover, full memory), not to the command."""
    return isinstance(error, _PASSING_ERRORS) or refusal_is_passing(str(error))


@asynccontextmanager
async def redis_errors(doing: str) -> AsyncIterator[None]:
    """Convert errors of redis-py into `OutsideError`, without `retry` if Redis rejected the command itself. `doing`:
    the operation, e.g. `renewing leases`.
    """
    try:
        yield
    except ResponseError as error:
        failure = f"Redis rejected a command while {doing}: {error_text(error)}"
        raise OutsideError(failure, retry=is_passing(error)) from error
    except (RedisError, OSError) as error:
        raise OutsideError(f"Redis did not answer while {doing}: {error_text(error)}", retry=True) from error
