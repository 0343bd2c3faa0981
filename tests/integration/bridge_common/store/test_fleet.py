"""The fleet's heartbeats on a real server."""

from __future__ import annotations

import json
import socket
from importlib.metadata import version

import pytest

from bridge_common.base.errors import OutsideError
from bridge_common.redis.clients import RedisClients
from bridge_common.redis.scripts import load_script
from bridge_common.store.fleet import DEAD_AFTER_MS, Fleet
from bridge_common.wire.keys import FLEET
from tests.integration.support.tcp_proxy import TcpProxy
from tests.support.eventually import eventually
from tests.support.recorded_spans import Growth


@pytest.fixture
def relay(clients: RedisClients) -> Fleet:
    return Fleet(clients.control, "relay-1", "agent-relay")


@pytest.fixture
def gateway(clients: RedisClients) -> Fleet:
    return Fleet(clients.control, "gateway-1", "media-gateway")


async def age(clients: RedisClients, name: str, ms: int) -> None:
    """Make the heartbeat older by `ms`."""
    stored = await clients.control.hget(FLEET, name)
    assert stored is not None
    row = json.loads(stored)
    row["beat_ms"] -= ms
    await clients.control.hset(FLEET, name, json.dumps(row))


async def test_a_member_with_a_heartbeat_is_live(relay: Fleet, gateway: Fleet) -> None:
    assert await relay.live() == {}
    await relay.beat(capacity=50, active=3)
    await gateway.beat(draining=True)
    live = await gateway.live()
    assert set(live) == {"relay-1", "gateway-1"}
    member = live["relay-1"]
    assert (member.name, member.kind, member.capacity, member.active) == ("relay-1", "agent-relay", 50, 3)
    assert not member.draining
    assert live["gateway-1"].draining


async def test_a_member_without_a_recent_heartbeat_is_dead(relay: Fleet, gateway: Fleet, clients: RedisClients) -> None:
    await relay.beat()
    await gateway.beat()
    await age(clients, "relay-1", DEAD_AFTER_MS + 1)
    assert set(await gateway.live()) == {"gateway-1"}
    await relay.beat()
    assert set(await gateway.live()) == {"relay-1", "gateway-1"}


async def test_a_member_dies_by_time_alone(relay: Fleet, gateway: Fleet) -> None:
    await relay.beat()

    async def dead() -> bool:
        return not await gateway.live()

    await eventually(dead)


async def test_a_member_that_leaves_is_removed_at_once(relay: Fleet, gateway: Fleet) -> None:
    await relay.beat()
    await relay.leave()
    assert await gateway.live() == {}


async def test_a_member_that_is_dead_for_long_is_deleted(relay: Fleet, gateway: Fleet, clients: RedisClients) -> None:
    await relay.beat()
    await gateway.beat()
    await age(clients, "relay-1", 61_000)
    await gateway.live()
    assert await clients.control.hkeys(FLEET) == [b"gateway-1"]


@pytest.mark.parametrize("row", ["", "null", "7", "{}", '{"kind": "x"}', '{"beat_ms": "soon"}', "[1]"])
async def test_a_damaged_row_hides_no_member_and_is_deleted(relay: Fleet, clients: RedisClients, row: str) -> None:
    await relay.beat()
    await clients.control.hset(FLEET, "damaged", row)
    assert set(await relay.live()) == {"relay-1"}
    assert await clients.control.hkeys(FLEET) == [b"relay-1"]


async def test_peers_are_the_others_of_the_same_kind(relay: Fleet, clients: RedisClients) -> None:
    await relay.beat()
    await Fleet(clients.control, "relay-2", "agent-relay").beat(capacity=7)
    await Fleet(clients.control, "gateway-1", "media-gateway").beat()
    assert [(peer.name, peer.capacity) for peer in await relay.peers()] == [("relay-2", 7)]


async def test_fields_of_a_newer_version_are_ignored(relay: Fleet, clients: RedisClients) -> None:
    await relay.beat()
    stored = await clients.control.hget(FLEET, "relay-1")
    assert stored is not None
    await clients.control.hset(FLEET, "newer", json.dumps({**json.loads(stored), "mood": "good"}))
    assert set(await relay.live()) == {"relay-1", "newer"}


async def test_a_heartbeat_has_the_version_and_the_host(relay: Fleet, clients: RedisClients) -> None:
    await relay.beat()
    await Fleet(clients.control, "relay-2", "agent-relay", host="relay-pod").beat()
    live = await relay.live()
    assert (live["relay-1"].version, live["relay-1"].host) == (version("bridge-common"), socket.gethostname())
    assert live["relay-2"].host == "relay-pod"


async def test_a_member_of_the_last_release_is_live_without_them(relay: Fleet, clients: RedisClients) -> None:
    """Its heartbeat, as 0.1.0 writes it."""
    beat = clients.control.register_script(load_script("bridge_common.store", "fleet_beat"))
    row = {"kind": "agent-relay", "capacity": 40, "active": 3, "draining": False}
    await beat(keys=[FLEET], args=["older", json.dumps(row)])
    [older] = (await relay.live()).values()
    assert (older.active, older.version, older.host) == (3, "", "")


async def test_an_unreachable_redis_is_to_be_retried(proxy: TcpProxy, shaky_clients: RedisClients) -> None:
    fleet = Fleet(shaky_clients.control, "relay-1", "agent-relay")
    proxy.refusing = True
    proxy.cut()
    for attempt in (fleet.beat(), fleet.live(), fleet.leave()):
        with pytest.raises(OutsideError) as caught:
            await attempt
        assert caught.value.retry


async def test_an_outage_of_the_control_connection_is_counted_once(
    proxy: TcpProxy, shaky_clients: RedisClients
) -> None:
    grown, fleet = Growth(), Fleet(shaky_clients.control, "relay-1", "agent-relay")
    await fleet.beat()
    for outages in (1, 2):
        proxy.refusing = True
        proxy.cut()
        for _ in range(2):
            with pytest.raises(OutsideError):
                await fleet.beat()
        assert grown('bridge_redis_outages_total{part="control"}') == outages
        proxy.refusing = False
        await fleet.beat()


@pytest.mark.parametrize(
    "row",
    [
        b'{"kind":"agent-relay","capacity":1e999,"active":1,"draining":false}',
        b'{"kind":"agent-relay","capacity":' + b"9" * 5000 + b',"active":1,"draining":false}',
        b"[" * 100_000,
        b"\xff",
    ],
    ids=["infinite", "long", "nested", "bytes"],
)
async def test_a_row_that_cannot_be_decoded_stops_nobody(clients: RedisClients, row: bytes) -> None:
    fleet = Fleet(clients.control, "relay-1", "agent-relay")
    await fleet.beat(capacity=40)
    await clients.control.hset(FLEET, b"broken-\xff", row)
    assert list(await fleet.live()) == ["relay-1"]


async def test_numbers_that_no_process_can_have_are_limited(clients: RedisClients) -> None:
    fleet = Fleet(clients.control, "relay-1", "agent-relay")
    await fleet.beat(capacity=-5, active=10**18)
    [member] = (await fleet.live()).values()
    assert (member.capacity, member.active) == (0, 10_000)
