"""Connections: a server that lost its role, an aborted connection, scripts, and an interrupted handshake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest
import uvloop
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from bridge_common.redis.address import Address
from bridge_common.redis.clients import RedisClients, RedisLimits, command, open_client, open_clients
from bridge_common.redis.connections import OwnConnection
from bridge_common.redis.endpoint import Endpoint
from lab.ports import free_port
from lab.redis_line import ask
from lab.redis_server import start_server
from tests.integration.support.redis_stats import forget_scripts, unknown_scripts
from tests.support.eventually import eventually
from tests.support.redis_user import port_of


@pytest.fixture(scope="module")
def other_port() -> Iterator[int]:
    """A server for this module, which the tests make a replica."""
    port = free_port()
    server = start_server(port)
    yield port
    server.kill()
    server.wait()


async def idle_connection(client: Redis) -> OwnConnection:
    """The only connection of its pool."""
    connection = await client.connection_pool.get_connection()  # type: ignore[no-untyped-call]
    assert isinstance(connection, OwnConnection)
    await client.connection_pool.release(connection)
    return connection


@pytest.fixture
async def there(other_port: int) -> AsyncIterator[RedisClients]:
    ask(other_port, "REPLICAOF", "NO", "ONE")
    clients = open_clients(f"redis://127.0.0.1:{other_port}/0")
    yield clients
    await clients.aclose()


async def test_a_connection_to_a_demoted_server_is_closed(there: RedisClients, other_port: int) -> None:
    """Another server may answer at the same address by now; a pool that keeps its connections never finds it."""
    await there.media.set("key", "1")
    connection = await idle_connection(there.media)
    assert connection.is_connected
    ask(other_port, "REPLICAOF", "127.0.0.1", free_port())
    with pytest.raises(RedisConnectionError, match="the server no longer has this role or slot"):
        await there.media.set("key", "2")
    assert not connection.is_connected
    ask(other_port, "REPLICAOF", "NO", "ONE")
    await there.media.set("key", "3")


async def test_a_control_command_is_retried_on_a_new_connection(there: RedisClients, other_port: int) -> None:
    await there.control.set("key", "1")
    ask(other_port, "REPLICAOF", "127.0.0.1", free_port())
    writing = asyncio.create_task(command(there.control, "SET", "key", "2"))
    await asyncio.sleep(0)
    ask(other_port, "REPLICAOF", "NO", "ONE")
    assert await writing


async def test_a_new_connection_loads_the_scripts(there: RedisClients, other_port: int) -> None:
    scripts = [there.control.register_script(f"return {number}") for number in range(30)]
    forget_scripts(other_port)
    assert [await script(keys=["key"]) for script in scripts] == list(range(30))
    forget_scripts(other_port)
    ask(other_port, "CLIENT", "KILL", "TYPE", "normal")
    assert [await script(keys=["key"]) for script in scripts] == list(range(30)), "the server was restarted"
    assert unknown_scripts(other_port) == 0
    forget_scripts(other_port)
    assert await scripts[7](keys=["key"]) == 7, "lost while the connection is open: loaded again"
    assert unknown_scripts(other_port) == 1


async def test_a_user_without_permission_to_load_scripts_can_connect(other_port: int) -> None:
    ask(other_port, "ACL", "SETUSER", "limited", "on", ">secret", "~*", "+@all", "-script")
    clients = open_clients(f"redis://limited:secret@127.0.0.1:{other_port}/0")
    clients.control.register_script("return 1")
    assert await clients.control.ping()
    await clients.aclose()


def test_an_aborted_idle_connection_is_opened_again(other_port: int) -> None:
    """Covers uvloop, which raises for a write to a closed transport."""

    async def run() -> None:
        clients = open_clients(f"redis://127.0.0.1:{other_port}/0")
        for _ in range(50):
            await clients.media.ping()
            (await idle_connection(clients.media)).abort()
            assert await clients.media.ping()
        await clients.aclose()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def test_a_pending_command_fails_when_its_connection_is_aborted(there: RedisClients) -> None:
    await there.blocking.ping()
    connection = await idle_connection(there.blocking)
    waiting = asyncio.create_task(command(there.blocking, "XREAD", "BLOCK", 1000, "STREAMS", "nothing", "0-0"))

    async def blocked() -> bool:
        return any("b" in client["flags"] for client in await there.control.client_list())

    await eventually(blocked)
    connection.abort()
    with pytest.raises(RedisConnectionError):
        await waiting


async def test_a_connection_knows_its_address_and_needs_no_token(there: RedisClients, other_port: int) -> None:
    await there.media.ping()
    connection = await idle_connection(there.media)
    assert connection.address == ("127.0.0.1", other_port)
    assert not connection.outdated


async def test_a_canceled_handshake_leaves_no_connection_in_resp2(there: RedisClients) -> None:
    """In whichever iteration of the loop it is canceled; without HELLO a server answers HGETALL with a list."""
    await there.control.hset("hash", "field", "1")
    for iterations in range(60):
        await there.control.connection_pool.disconnect()
        handshake = asyncio.create_task(command(there.control, "PING"))
        for _ in range(iterations):
            await asyncio.sleep(0)
        handshake.cancel()
        await asyncio.gather(handshake, return_exceptions=True)
        assert await there.control.hgetall("hash") == {b"field": b"1"}


class Moving(Endpoint):
    """An endpoint whose next address becomes the current one during the handshake."""

    def __init__(self, before: Address, after: Address) -> None:
        super().__init__()
        self._addresses = [before, after]

    async def check(self, ask: Callable[..., Awaitable[Any]]) -> None:
        await ask("PING")
        if len(self._addresses) > 1:
            before = self._addresses.pop(0)
            self.invalidate(before)
            await self.find()

    async def _look_up(self) -> Address:
        return self._addresses[0]


async def test_a_switch_during_the_handshake_closes_the_connection(other_port: int, redis_url: str) -> None:
    """Its old primary would still accept writes, which are lost."""
    ask(other_port, "REPLICAOF", "NO", "ONE")
    endpoint = Moving(("127.0.0.1", other_port), ("127.0.0.1", port_of(redis_url)))
    async with aclosing(open_client(redis_url, endpoint, None, RedisLimits(timeout_s=1))) as client:
        with pytest.raises(RedisConnectionError, match="another server took over"):
            await client.ping()
        assert await client.ping()
        assert (await idle_connection(client)).address == ("127.0.0.1", port_of(redis_url))
