"""The heartbeat finds faults: servers that answer PING but do not execute the commands of calls."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bridge_common.base.errors import OutsideError
from bridge_common.base.refusals import Fault
from bridge_common.redis.clients import RedisClients, open_clients
from bridge_common.store.fleet import MISSED_AFTER_S, Fleet
from bridge_common.wire.keys import FLEET, Keys
from lab.ports import free_port
from lab.redis_cluster import RedisCluster, redis_cluster
from lab.redis_line import ask
from lab.redis_server import start_server
from tests.integration.support.full_redis import full_redis
from tests.integration.support.tcp_proxy import TcpProxy
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(60)


@contextlib.contextmanager
def server(*options: str) -> Iterator[int]:
    port = free_port()
    process = start_server(port, *options)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


@contextlib.asynccontextmanager
async def process(url: str, shards: int = 1, *, cluster: bool = False) -> AsyncIterator[Fleet]:
    """A fleet member as in a service, with the keys of all shards."""
    clients = open_clients(url, cluster=cluster)
    try:
        yield Fleet(clients.control, "relay-1", "agent-relay", Keys(shards, spread=cluster))
    finally:
        await clients.aclose()


async def verdict(fleet: Fleet) -> str:
    with contextlib.suppress(OutsideError):
        await fleet.beat()
    return reason(fleet)


def reason(fleet: Fleet) -> str:
    return fleet.fault.reason if fleet.fault is not None else ""


async def test_a_process_is_ready_from_its_first_heartbeat_on(clients: RedisClients) -> None:
    fleet = Fleet(clients.control, "relay-1", "agent-relay", Keys(4))
    assert fleet.fault == Fault("Redis has not stored a heartbeat", math.inf)
    assert await verdict(fleet) == ""
    assert fleet.beat_age_s < 1


async def test_a_user_who_may_load_no_script_is_not_ready_until_he_may() -> None:
    with server() as port:
        ask(port, "ACL", "SETUSER", "svc", "on", ">password", "~*", "&*", "+@all", "-script|load")
        async with process(f"redis://svc:password@127.0.0.1:{port}/0") as fleet:
            assert "NOPERM" in await verdict(fleet)
            ask(port, "ACL", "SETUSER", "svc", "+script|load")
            assert await verdict(fleet) == ""


async def test_a_server_without_scripts_is_not_ready() -> None:
    with server("--rename-command", "SCRIPT", "") as port:
        async with process(f"redis://127.0.0.1:{port}/0") as fleet:
            assert "unknown command 'SCRIPT'" in await verdict(fleet)


async def test_a_full_server_is_a_fault(clients: RedisClients) -> None:
    fleet = Fleet(clients.control, "relay-1", "agent-relay", Keys(1))
    assert await verdict(fleet) == ""
    async with full_redis(clients):
        assert await verdict(fleet) == "", "one failed heartbeat is not an outage"

        async def noticed() -> bool:
            return "OOM" in await verdict(fleet)

        await eventually(noticed)
        assert fleet.fault is not None
        assert MISSED_AFTER_S <= fleet.fault.age_s < 10
    assert await verdict(fleet) == ""


async def test_a_server_that_is_silent_is_a_fault(proxy: TcpProxy, shaky_clients: RedisClients) -> None:
    fleet = Fleet(shaky_clients.control, "relay-1", "agent-relay", Keys(1), missed_after_s=0.0)
    await fleet.beat()
    proxy.silent = True
    assert reason(fleet).startswith("Redis has not stored a heartbeat for 0."), "no reply yet, and no error either"
    proxy.refusing = True
    proxy.cut()
    assert "Redis did not answer while writing the heartbeat: " in await verdict(fleet)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.mark.parametrize("shards", [1, 12])
async def test_a_cluster_that_is_configured_as_one_server_is_not_ready(cluster: RedisCluster, shards: int) -> None:
    """This holds even if the URL contains the server that stores the heartbeats. With one shard it can serve calls."""
    for port in cluster.ports:
        async with process(f"redis://127.0.0.1:{port}/0", shards) as fleet:
            told = await verdict(fleet)
            if shards == 1 and cluster.owner_of(FLEET) == cluster.owner_of(Keys(1).all_tags()[0]) == port:
                assert told == ""
            else:
                assert "MOVED" in told or "CROSSSLOT" in told


async def test_an_announced_cluster_is_ready_while_a_server_is_away(tmp_path: Path) -> None:
    with redis_cluster(tmp_path / "cluster") as own:
        async with process(own.url, 12, cluster=True) as fleet:
            assert await verdict(fleet) == ""
            own.kill(next(port for port in own.ports if port not in (own.owner_of(FLEET), own.ports[0])))
            assert await verdict(fleet) == ""


async def test_one_endpoint_that_refuses_several_slots_is_not_ready(tmp_path: Path) -> None:
    """Like Azure's EnterpriseCluster policy: one server for all slots, several shards in the settings."""
    with redis_cluster(tmp_path / "cluster", servers=1) as endpoint:
        async with process(endpoint.url, shards=4) as fleet:
            assert "CROSSSLOT" in await verdict(fleet)
        for shards, cluster in ((1, False), (4, True)):
            async with process(endpoint.url, shards, cluster=cluster) as fleet:
                assert await verdict(fleet) == ""
