"""A primary that moves: real servers and sentinels, a planned failover, a crash, missing and stale sentinels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, suppress
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from bridge_common.redis.address import Address
from bridge_common.redis.clients import RedisClients, RedisLimits, command, open_client, open_clients
from bridge_common.redis.endpoint import Endpoint, SentinelEndpoint
from bridge_common.redis.pipeline import RedisPipeline, pack
from lab.redis_group import RedisGroup, redis_group
from tests.integration.support.redis_stats import forget_scripts, unknown_scripts
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisGroup]:
    with redis_group(tmp_path_factory.mktemp("redis")) as group:
        yield group


@pytest.fixture
def group(standing: RedisGroup) -> RedisGroup:
    """A complete group again, independent of the previous test."""
    standing.heal()
    return standing


@pytest.fixture
async def led(group: RedisGroup) -> AsyncIterator[RedisClients]:
    """Clients that found the primary through its sentinels, with open connections."""
    clients = open_clients(group.url)
    for client in (clients.media, clients.blocking, clients.control):
        await client.ping()
    yield clients
    await clients.aclose()


async def port_behind(clients: RedisClients) -> int:
    info: dict[str, Any] = await command(clients.control, "INFO", "server")
    return int(info["tcp_port"])


async def write(clients: RedisClients) -> bool:
    try:
        return bool(await clients.control.set("written", "1"))
    except RedisError:
        return False


async def test_commands_go_to_the_primary(group: RedisGroup, led: RedisClients) -> None:
    assert await port_behind(led) == group.primary()
    assert await led.control.ping()


async def test_every_connection_follows_a_planned_failover_at_once(group: RedisGroup, led: RedisClients) -> None:
    """Working connections are aborted too: the old primary accepts writes until it is demoted, and loses them."""
    old = group.primary()
    wire = await RedisPipeline.open(led.media, print)
    blocked = asyncio.create_task(command(led.blocking, "XREAD", "BLOCK", 1000, "STREAMS", "nothing", "0-0"))
    await asyncio.to_thread(group.fail_over)
    await eventually(lambda: not wire.is_open)
    assert await write(led)
    assert await port_behind(led) == group.primary() != old
    wire = await RedisPipeline.open(led.media, print)
    assert wire.is_open
    wire.abort()
    await asyncio.gather(blocked, return_exceptions=True)


async def test_a_new_primary_has_the_scripts_before_a_command_needs_them(group: RedisGroup) -> None:
    async with aclosing(open_clients(group.url)) as clients:
        script = clients.control.register_script("return redis.call('INCR', KEYS[1])")
        for port in group.ports:
            forget_scripts(port)
        await script(keys=["counted"])
        await asyncio.to_thread(group.fail_over)

        async def followed() -> bool:
            with suppress(RedisError):
                return await port_behind(clients) == group.primary()
            return False

        await eventually(followed)
        assert await script(keys=["counted"]) > 1
        assert [unknown_scripts(port) for port in group.ports] == [0, 0]


async def test_a_crash_is_survived(group: RedisGroup, led: RedisClients) -> None:
    old = group.primary()
    group.kill_primary()
    await eventually(lambda: write(led), within_s=30)
    assert await port_behind(led) == group.primary() != old
    replies: list[Any] = []
    wire = await RedisPipeline.open(led.media, replies.append)
    wire.send(pack("PING"))
    await eventually(lambda: replies == [b"PONG"])
    wire.abort()


async def test_one_reachable_sentinel_is_enough(group: RedisGroup) -> None:
    _, known = group.url.rsplit(",", 1)
    clients = open_clients(f"redis+sentinel://127.0.0.1:1,127.0.0.1:2,{known}")
    assert await clients.control.ping()
    await clients.aclose()


async def test_an_unknown_service_is_an_error(group: RedisGroup) -> None:
    clients = open_clients(group.url.replace("/lab/", "/other/"))
    with pytest.raises(RedisConnectionError, match="no sentinel knows the primary of other"):
        await clients.media.ping()
    await clients.aclose()


class StaleSentinel(Redis):
    """A sentinel that notices a failover late: it announces a replica as the primary, then the primary."""

    def __init__(self, *ports: int) -> None:
        super().__init__()
        self._ports = list(ports)

    async def execute_command(self, *_: Any, **__: Any) -> Any:
        port = self._ports.pop(0) if len(self._ports) > 1 else self._ports[0]
        return {b"ip": b"127.0.0.1", b"port": b"%d" % port, b"flags": b"master", b"config-epoch": b"1"}


async def test_a_replica_that_a_sentinel_announces_is_left_at_once(group: RedisGroup) -> None:
    primary = group.primary()
    replica = next(port for port in group.ports if port != primary)
    async with aclosing(SentinelEndpoint([StaleSentinel(replica, primary)], "lab")) as endpoint:
        url = f"redis://127.0.0.1:{primary}/0"
        async with aclosing(open_client(url, endpoint, None, RedisLimits(timeout_s=1))) as client:
            with pytest.raises(RedisConnectionError, match="a replica now"):
                await RedisPipeline.open(client, print)
            assert (await client.info("server"))["tcp_port"] == primary


class Somewhere(Endpoint):
    """An endpoint with another address after each lookup."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_up = 0

    async def check(self, ask: Callable[..., Awaitable[Any]]) -> None:
        await ask("PING")

    async def _look_up(self) -> Address:
        await asyncio.sleep(0)
        self.looked_up += 1
        return "host", self.looked_up

    async def aclose(self) -> None: ...


class FakeConnection:
    def __init__(self, port: int) -> None:
        self.address = ("host", port)
        self.open = True

    def abort(self) -> None:
        self.open = False


async def test_concurrent_requests_cause_one_lookup() -> None:
    endpoint = Somewhere()
    assert {await endpoint.find()} == set(await asyncio.gather(*(endpoint.find() for _ in range(20))))
    assert endpoint.looked_up == 1


async def test_an_invalid_address_is_looked_up_again_and_no_connection_is_closed() -> None:
    endpoint, line = Somewhere(), FakeConnection(1)
    endpoint.register(line)
    endpoint.invalidate(await endpoint.find())
    assert await endpoint.find() == ("host", 2)
    endpoint.invalidate(("host", 1))
    assert await endpoint.find() == ("host", 2)
    assert line.open


async def test_evicting_an_address_closes_the_connections_to_it_alone() -> None:
    endpoint, old, new = Somewhere(), FakeConnection(1), FakeConnection(2)
    endpoint.register(old)
    endpoint.register(new)
    endpoint.evict(await endpoint.find())
    assert not old.open
    assert new.open
    assert await endpoint.find() == ("host", 2)
