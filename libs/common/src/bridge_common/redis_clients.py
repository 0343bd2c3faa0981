"""The three ways we talk to Redis, and why the library's defaults serve none of them.

redis-py 8 retries silently up to ten times and ends any reply after 5 s: a blocking read then fails only after a
minute, and a retried append without explicit ids stands twice in the stream. So: `media` never retries and gives up
fast, `blocking` waits for longer than any BLOCK we send, `control` retries scripts that may run twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bridge_common.errors import OutsideError

MAX_BLOCK_MS: Final = 1000
"""No command of ours blocks for longer: a pooled connection must come back to be re-authenticated."""
_MEDIA_TIMEOUT_S: Final = 0.5
_BLOCKING_TIMEOUT_S: Final = MAX_BLOCK_MS / 1000 + 0.5
_CONTROL_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class RedisClients:
    """Byte replies from all three."""

    media: Redis
    blocking: Redis
    control: Redis

    async def ping(self) -> bool:
        """Whether Redis answers now."""
        try:
            return bool(await self.control.ping())
        except RedisError:
            return False

    async def aclose(self) -> None:
        for client in (self.media, self.blocking, self.control):
            await client.aclose()


def open_clients(url: str) -> RedisClients:
    """Makes the clients of one process; connects at first use. `url`: redis://, rediss:// or unix://."""
    return RedisClients(
        media=_client(url, timeout_s=_MEDIA_TIMEOUT_S, retries=0),
        blocking=_client(url, timeout_s=_BLOCKING_TIMEOUT_S, retries=0),
        control=_client(url, timeout_s=_CONTROL_TIMEOUT_S, retries=2),
    )


def _client(url: str, *, timeout_s: float, retries: int) -> Redis:
    backoff = ExponentialBackoff(cap=0.2, base=0.02) if retries else NoBackoff()
    return Redis.from_url(
        url,
        protocol=3,
        socket_timeout=timeout_s,
        socket_connect_timeout=1.0,
        socket_keepalive=True,
        retry=Retry(backoff, retries, supported_errors=(RedisConnectionError, RedisTimeoutError)),
        health_check_interval=0,
    )


async def command(redis: Redis, *args: str | bytes | int, **options: object) -> Any:
    """One command by name, with the library's reply parsing for it.

    The library's own methods are annotated with the union of all protocols' replies; here the caller states the type
    that RESP3 with byte replies gives.
    """
    return await redis.execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py leaves it bare


@asynccontextmanager
async def redis_errors(doing: str) -> AsyncIterator[None]:
    """Turns what redis-py raises into `OutsideError`; a refused command is ours to fix and not worth a retry."""
    try:
        yield
    except ResponseError as error:
        raise OutsideError(f"Redis refused {doing}: {error}", retry=False) from error
    except (RedisError, OSError) as error:
        raise OutsideError(f"Redis did not answer while {doing}: {error}", retry=True) from error
