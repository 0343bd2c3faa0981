"""The pool: a command that waits for a connection gets one, or an error when none became free in time."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from bridge_common.redis.connections import TcpConnection
from bridge_common.redis.pool import OwnPool
from tests.support.redis_user import port_of


async def test_a_command_waits_for_a_connection_for_a_limited_time(redis_url: str) -> None:
    pool = OwnPool(
        timeout=0.2,
        max_connections=1,
        scripts=set(),
        connection_class=TcpConnection,
        host="127.0.0.1",
        port=port_of(redis_url),
        protocol=3,
    )
    async with aclosing(pool):
        first = await pool.get_connection()
        with pytest.raises(RedisConnectionError, match=r"all 1 connections to Redis were busy for 0\.2 s"):
            await pool.get_connection()
        waiting = asyncio.create_task(pool.get_connection())
        await asyncio.sleep(0)
        await pool.release(first)
        assert await waiting is first
        await pool.release(first)
