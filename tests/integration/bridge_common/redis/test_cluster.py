"""A real cluster of three servers: every command reaches its server, a slot that moves is followed, and an unreachable
server blocks no call of another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from bridge_common.base.errors import OutsideError
from bridge_common.base.ids import call_id_of
from bridge_common.redis.address import Address
from bridge_common.redis.clients import RedisClients, command, open_clients
from bridge_common.redis.cluster import ClusterMap, ClusterRedis, keys_of, server_of, slot_of
from bridge_common.redis.pipeline import RedisPipeline, pack
from bridge_common.store.fleet import Fleet
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases
from bridge_common.wire.entries import HangUp
from bridge_common.wire.keys import Keys
from lab.redis_cluster import RedisCluster, redis_cluster
from tests.integration.support.redis_stats import forget_scripts, unknown_scripts
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(120)

SHARDS = 8
KEYS = Keys(SHARDS, spread=True)
CALLS = [call_id_of(str(number)) for number in range(40)]


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
async def spread(standing: RedisCluster) -> AsyncIterator[RedisClients]:
    """The clients on an empty cluster."""
    standing.flush()
    clients = open_clients(standing.url, cluster=True)
    yield clients
    await clients.aclose()


def tags_by_server(cluster: RedisCluster) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for tag in KEYS.all_tags():
        found.setdefault(cluster.owner_of(tag), []).append(tag)
    return found


# -- keys of a command
@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (("GET", "a"), ("a",)),
        (("XGROUP CREATE", "a", "group"), ("a",)),
        (("EVALSHA", "sha", 2, "a", "b", "c"), ("a", "b")),
        (("XREAD", "COUNT", 1, "STREAMS", "a", "b", "0-0", "0-0"), ("a", "b")),
        (("XREADGROUP", "GROUP", "STREAMS-group", "me", "STREAMS", "a", ">"), ("a",)),
        (("DEL", "a", "b"), ("a", "b")),
        (("PING",), ()),
    ],
)
def test_the_keys_of_a_command(words: tuple[Any, ...], keys: tuple[str, ...]) -> None:
    assert tuple(keys_of(words)) == keys


async def test_a_command_for_two_servers_is_an_error(spread: RedisClients) -> None:
    with pytest.raises(ValueError, match="several slots"):
        await spread.control.delete(KEYS.record(CALLS[0]), "elsewhere")
    with pytest.raises(NotImplementedError, match="server_of"):
        spread.control.pipeline()


# -- routing
async def test_every_key_is_found_on_its_server(standing: RedisCluster, spread: RedisClients) -> None:
    assert len(tags_by_server(standing)) == 3, "the shards are spread over all servers"
    for tag in KEYS.all_tags():
        await spread.control.set(KEYS.leases(tag), tag)
    assert [await spread.control.get(KEYS.leases(tag)) for tag in KEYS.all_tags()] == [
        tag.encode() for tag in KEYS.all_tags()
    ]


async def test_scripts_are_loaded_on_each_server(standing: RedisCluster, spread: RedisClients) -> None:
    script = spread.control.register_script("return redis.call('INCR', KEYS[1])")
    for port in tags_by_server(standing):
        forget_scripts(port)
    counts = [await script(keys=[KEYS.leases(tag)]) for tag in KEYS.all_tags() for _ in range(2)]
    assert counts == [1, 2] * SHARDS
    assert [unknown_scripts(port) for port in tags_by_server(standing)] == [0, 0, 0], "loaded before the first use"


async def test_the_pipeline_connects_to_the_server_of_the_slot(spread: RedisClients) -> None:
    replies: list[Any] = []
    for tag in KEYS.all_tags():
        wire = await RedisPipeline.open(server_of(spread.media, tag), replies.append)
        wire.send(pack("SET", KEYS.wake(tag), tag))
        await eventually(lambda: replies)
        assert replies.pop() == b"OK"
        wire.abort()


async def test_a_slot_that_moves_is_followed(standing: RedisCluster, spread: RedisClients) -> None:
    key = "{moving}"
    before = standing.owner_of(key)
    await spread.control.set(key, "1")
    await spread.control.delete(key)
    wire = await RedisPipeline.open(server_of(spread.media, key), print)
    lost = asyncio.create_task(wire.until_lost(5))
    after = next(port for port in standing.ports if port != before)
    standing.move_slot(key, after)
    assert await spread.control.set(key, "2")
    replies: list[Any] = []

    async def written() -> bool:
        try:
            moved = await RedisPipeline.open(server_of(spread.media, key), replies.append)
        except RedisError:
            return False
        moved.send(pack("GET", key))
        await eventually(lambda: replies)
        moved.abort()
        return bool(replies[-1] == b"2")

    await eventually(written)
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)
    wire.abort()


async def test_an_unreachable_first_server_is_an_error(standing: RedisCluster) -> None:
    clients = open_clients("redis://127.0.0.1:1/0", cluster=True)
    with pytest.raises(RedisConnectionError, match="no server of the Redis cluster answers"):
        await clients.media.get("key")
    await clients.aclose()


class SlotServer(Redis):
    """A server that answers CLUSTER SLOTS with these rows, or is unreachable."""

    def __init__(self, rows: list[Any] | None) -> None:
        self._rows = rows
        super().__init__()

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        if self._rows is None:
            raise RedisConnectionError("unreachable")
        return self._rows


async def test_the_map_comes_from_any_server_that_answers() -> None:
    rows: list[Any] = [[0, 99, [b"two", 2, b"id"]], [100, 16383, [b"", 1, b"id"], [b"replica", 9, b"id"]]]
    up: dict[Address, list[Any] | None] = {("one", 1): rows}
    servers = ClusterMap(lambda server: SlotServer(up.get(server)), ("one", 1))
    assert await servers.server_of(5) == ("two", 2)
    assert await servers.server_of(500) == ("one", 1), "a server without a name of its own has the queried address"
    up[("one", 1)] = None
    up[("two", 2)] = [[0, 16383, [b"two", 2, b"id"]]]
    assert await servers.server_of(500) == ("one", 1)
    servers.invalidate()
    assert await servers.server_of(500) == ("two", 2)
    up[("two", 2)] = [[0, 10, [b"two", 2, b"id"]]]
    servers.invalidate()
    with pytest.raises(RedisConnectionError, match="no server of the Redis cluster has slot 500"):
        await servers.server_of(500)


# -- stores on a cluster
async def test_every_shard_has_its_leases(spread: RedisClients) -> None:
    leases = Leases(spread.control, KEYS, "relay-1")
    parts = leases.parts()
    assert len(parts) == SHARDS
    for call_id in CALLS:
        await leases.offer(call_id)
    claims = [(part, claim) for part in parts for claim in await part.claim(100)]
    assert sorted(claim.call_id for _, claim in claims) == sorted(CALLS)
    assert all(part.has(claim.call_id) for part, claim in claims)
    for part in parts:
        assert await part.renew([claim for holder, claim in claims if holder is part]) == []
        await part.wait_wake(spread.blocking, {}, 50)


async def test_every_shard_has_its_inbox(spread: RedisClients) -> None:
    inbox = Inbox(spread.control, spread.blocking, KEYS, "control-1")
    await inbox.ensure_group()
    for call_id in CALLS:
        await inbox.put(HangUp(call_id, "operator", ""))
    deliveries = [delivery for part in inbox.parts() for delivery in await part.read(block_ms=20, count=100)]
    assert sorted(delivery.entry.call_id for delivery in deliveries) == sorted(CALLS)
    for delivery in deliveries:
        await inbox.ack(delivery)
    for part in inbox.parts():
        assert await part.read(block_ms=1) == []
        assert await part.claim_orphans([]) == []
        assert (await part.fire_due_timers()).count == 0


async def test_a_single_server_is_read_with_one_command() -> None:
    assert len(Keys(SHARDS).parts()) == 1


async def test_the_fleet_has_one_clock(spread: RedisClients) -> None:
    fleet = Fleet(spread.control, "relay-1", "agent-relay")
    await fleet.beat(capacity=3)
    assert list(await fleet.live()) == ["relay-1"]


async def test_an_unreachable_server_blocks_no_call_of_another(tmp_path_factory: pytest.TempPathFactory) -> None:
    with redis_cluster(tmp_path_factory.mktemp("broken")) as cluster:
        clients = open_clients(cluster.url, cluster=True)
        leases = Leases(clients.control, KEYS, "relay-1")
        for call_id in CALLS:
            await leases.offer(call_id)
        gone, *_ = (port for port in tags_by_server(cluster) if port != cluster.ports[0])
        lost = set(tags_by_server(cluster)[gone])
        cluster.kill(gone)
        for part, tag in zip(leases.parts(), KEYS.all_tags(), strict=True):
            if tag in lost:
                with pytest.raises(OutsideError):
                    await part.claim(100)
            else:
                assert len(await part.claim(100)) == sum(KEYS.tag(call_id) == tag for call_id in CALLS)
        await clients.aclose()


async def test_an_elected_replica_is_followed(tmp_path_factory: pytest.TempPathFactory) -> None:
    with redis_cluster(tmp_path_factory.mktemp("elected"), replicas=True) as cluster:
        clients = open_clients(cluster.url, cluster=True)
        key = KEYS.wake(KEYS.all_tags()[0])
        await clients.control.set(key, "1")
        killed = cluster.owner_of(key)
        cluster.kill(killed)

        async def written() -> bool:
            try:
                return bool(await clients.control.set(key, "2"))
            except RedisError:
                return False

        await eventually(written, within_s=30)
        assert cluster.owner_of(key, next(port for port in cluster.ports if port != killed)) in cluster.replica_ports
        await clients.aclose()


def test_the_slot_depends_on_the_hash_tag_alone() -> None:
    assert slot_of("{s00}:leases") == slot_of(b"{s00}:call:x:uplink") == slot_of("{s00}")


async def test_a_single_server_has_every_key(clients: RedisClients) -> None:
    assert server_of(clients.control, "any") is clients.control
    assert not isinstance(clients.control, ClusterRedis)


async def test_replies_are_parsed_as_those_of_a_single_server(spread: RedisClients) -> None:
    for tag in KEYS.all_tags():
        await spread.control.hset(KEYS.owners(tag), "call", "owner")
        stored: dict[bytes, bytes] = await command(spread.control, "HGETALL", KEYS.owners(tag))
        assert stored == {b"call": b"owner"}
