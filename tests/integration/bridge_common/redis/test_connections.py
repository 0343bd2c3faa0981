"""Connections of ours: what they do when a server says "not me", when they are ended under a command, and at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import uvloop
from redis.exceptions import ConnectionError as RedisConnectionError

from bridge_common.redis.clients import RedisClients, command, open_clients
from bridge_common.redis.connections import OwnConnection
from lab.ports import free_port
from lab.redis_line import ask
from lab.redis_server import start_server
from tests.integration.support.redis_stats import forget_scripts, unknown_scripts
from tests.support.eventually import eventually


@pytest.fixture(scope="module")
def other_port() -> Iterator[int]:
    """A server of this module: it is made a replica."""
    port = free_port()
    server = start_server(port)
    yield port
    server.kill()
    server.wait()


@pytest.fixture
async def there(other_port: int) -> AsyncIterator[RedisClients]:
    ask(other_port, "REPLICAOF", "NO", "ONE")
    clients = open_clients(f"redis://127.0.0.1:{other_port}/0")
    yield clients
    await clients.aclose()


async def test_a_server_that_became_a_replica_costs_the_connection(there: RedisClients, other_port: int) -> None:
    """Behind the same address another one may answer by now; a pool that keeps the old connections never finds it."""
    await there.media.set("key", "1")
    (connection,) = there.media.connection_pool._available_connections
    assert connection.is_connected
    ask(other_port, "REPLICAOF", "127.0.0.1", free_port())
    with pytest.raises(RedisConnectionError, match="another server is in charge now"):
        await there.media.set("key", "2")
    assert not connection.is_connected
    ask(other_port, "REPLICAOF", "NO", "ONE")
    await there.media.set("key", "3")


async def test_a_control_command_is_tried_again_elsewhere(there: RedisClients, other_port: int) -> None:
    await there.control.set("key", "1")
    ask(other_port, "REPLICAOF", "127.0.0.1", free_port())
    writing = asyncio.create_task(command(there.control, "SET", "key", "2"))
    await asyncio.sleep(0)
    ask(other_port, "REPLICAOF", "NO", "ONE")
    assert await writing


async def test_a_connection_that_opens_has_the_scripts_loaded(there: RedisClients, other_port: int) -> None:
    scripts = [there.control.register_script(f"return {number}") for number in range(30)]
    forget_scripts(other_port)
    assert [await script(keys=["key"]) for script in scripts] == list(range(30))
    forget_scripts(other_port)
    ask(other_port, "CLIENT", "KILL", "TYPE", "normal")
    assert [await script(keys=["key"]) for script in scripts] == list(range(30)), "the server was restarted"
    assert unknown_scripts(other_port) == 0
    forget_scripts(other_port)
    assert await scripts[7](keys=["key"]) == 7, "a server that loses them in between gets them again"
    assert unknown_scripts(other_port) == 1


async def test_a_user_who_may_load_no_script_can_connect(other_port: int) -> None:
    ask(other_port, "ACL", "SETUSER", "limited", "on", ">secret", "~*", "+@all", "-script")
    clients = open_clients(f"redis://limited:secret@127.0.0.1:{other_port}/0")
    clients.control.register_script("return 1")
    assert await clients.control.ping()
    await clients.aclose()


def test_an_idle_connection_that_was_ended_is_opened_again(other_port: int) -> None:
    """On uvloop as well, which refuses writes to a transport that is closed."""

    async def run() -> None:
        clients = open_clients(f"redis://127.0.0.1:{other_port}/0")
        for _ in range(50):
            await clients.media.ping()
            (connection,) = clients.media.connection_pool._available_connections
            assert isinstance(connection, OwnConnection)
            connection.abort()
            assert await clients.media.ping()
        await clients.aclose()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def test_whoever_waits_on_a_connection_that_is_ended_is_told(there: RedisClients) -> None:
    await there.blocking.ping()
    (connection,) = there.blocking.connection_pool._available_connections
    waiting = asyncio.create_task(command(there.blocking, "XREAD", "BLOCK", 1000, "STREAMS", "nothing", "0-0"))
    await eventually(lambda: connection in there.blocking.connection_pool._in_use_connections)
    await asyncio.sleep(0.05)
    assert isinstance(connection, OwnConnection)
    connection.abort()
    with pytest.raises(RedisConnectionError):
        await waiting


async def test_where_it_leads_and_that_it_needs_no_new_token(there: RedisClients, other_port: int) -> None:
    await there.media.ping()
    (connection,) = there.media.connection_pool._available_connections
    assert isinstance(connection, OwnConnection)
    assert connection.address == ("127.0.0.1", other_port)
    assert not connection.outdated
