"""The quota of connections, counted in Redis."""

from __future__ import annotations

import asyncio
import time

from agent_relay.voice.connection_quota import MOST_PAUSE_S, ConnectionQuota, Grant, Urgency
from bridge_common.redis.clients import RedisClients

RESOURCE = "res.services.ai.azure.com"
RUNNING, NEW, BACKGROUND = Urgency.RUNNING, Urgency.NEW, Urgency.BACKGROUND


async def _granted(one: ConnectionQuota, urgency: Urgency, times: int) -> int:
    grants = await asyncio.gather(*(one.take(RESOURCE, urgency) for _ in range(times)))
    return sum(bool(grant.token) for grant in grants)


async def test_the_quota_is_shared_by_the_fleet(clients: RedisClients) -> None:
    fleet = [ConnectionQuota(clients.control, 30) for _ in range(3)]
    assert sum(await asyncio.gather(*(_granted(one, RUNNING, 20) for one in fleet))) == 30
    refused = await fleet[0].take(RESOURCE, RUNNING)
    assert not refused.token
    assert 50 < refused.wait_s <= 61


async def test_lower_priorities_leave_tokens_for_higher_ones(clients: RedisClients) -> None:
    one = ConnectionQuota(clients.control, 30)
    assert await _granted(one, BACKGROUND, 40) == 15
    assert await _granted(one, NEW, 40) == 24 - 15
    assert await _granted(one, RUNNING, 40) == 30 - 24


async def test_a_handshake_may_take_a_second_longer_than_the_next(clients: RedisClients) -> None:
    grant = await ConnectionQuota(clients.control, 30).take(RESOURCE, RUNNING)
    seconds, _ = await clients.control.time()
    back_ms = await clients.control.zscore(f"quota:{RESOURCE}", grant.token)
    assert back_ms is not None
    assert back_ms - seconds * 1000 >= 60_000 + 1_000 - 50, "Azure's minute begins up to a second after the token's"


async def test_each_resource_has_its_own(clients: RedisClients) -> None:
    one = ConnectionQuota(clients.control, 1)
    assert (await one.take("a", NEW)).token
    assert (await one.take("b", NEW)).token
    assert not (await one.take("a", NEW)).token


async def test_a_token_returns_a_minute_after_it_was_taken(clients: RedisClients) -> None:
    one = ConnectionQuota(clients.control, 2, back_after_ms=300)
    assert await _granted(one, RUNNING, 2) == 2
    # Redis takes the time between the two moments.
    asked: list[float] = []
    taken: list[float] = []
    while len(taken) < 4:
        asked_at = time.monotonic()
        grant = await one.take(RESOURCE, RUNNING)
        if grant.token:
            asked.append(asked_at)
            taken.append(time.monotonic())
        else:
            assert 0 < grant.wait_s <= 0.3
            await asyncio.sleep(grant.wait_s)
    assert taken[2] - asked[0] >= 0.3, "never more than two in any minute"
    assert await clients.control.zcard(f"quota:{RESOURCE}") <= 2


async def test_counting_takes_no_token(clients: RedisClients) -> None:
    one = ConnectionQuota(clients.control, 10)
    for _ in range(2):
        assert [await one.free(RESOURCE, urgency) for urgency in (BACKGROUND, NEW, RUNNING)] == [5, 8, 10]
    assert await _granted(one, RUNNING, 6) == 6
    assert [await one.free(RESOURCE, urgency) for urgency in (BACKGROUND, NEW, RUNNING)] == [0, 2, 4]
    await one.pause(RESOURCE, 1)
    assert await one.free(RESOURCE, RUNNING) == 0


async def test_the_token_of_a_failed_handshake_returns_early(clients: RedisClients) -> None:
    one = ConnectionQuota(clients.control, 1, failed_ms=50)
    grant = await one.take(RESOURCE, RUNNING)
    await one.give_back(RESOURCE, grant)
    refused = await one.take(RESOURCE, RUNNING)
    assert refused.wait_s <= 0.05, "soon"
    await asyncio.sleep(refused.wait_s)
    again = await one.take(RESOURCE, RUNNING)
    assert again.token
    await one.give_back(RESOURCE, Grant("unknown"))
    assert not (await one.take(RESOURCE, RUNNING)).token


async def test_a_pause_applies_to_the_fleet_and_is_reported_once(clients: RedisClients) -> None:
    one, other = ConnectionQuota(clients.control, 30), ConnectionQuota(clients.control, 30)
    assert await one.pause(RESOURCE, 0.6)
    assert not await other.pause(RESOURCE, 0.1)
    refused = await other.take(RESOURCE, RUNNING)
    assert not refused.token
    assert 0.1 < refused.wait_s <= 0.6, "the longer of two pauses counts"
    await asyncio.sleep(refused.wait_s)
    assert (await other.take(RESOURCE, RUNNING)).token
    assert await one.pause(RESOURCE, 10_000)
    assert (await one.take(RESOURCE, RUNNING)).wait_s <= MOST_PAUSE_S


async def test_a_pause_of_a_credential_leaves_the_others(clients: RedisClients) -> None:
    one, other = ConnectionQuota(clients.control, 30), ConnectionQuota(clients.control, 30)
    assert await one.pause(RESOURCE, 5, "key a")
    assert not await other.pause(RESOURCE, 1, "key a")
    assert (await other.take(RESOURCE, RUNNING, "key b")).token
    assert (await other.take(RESOURCE, RUNNING)).token
    assert 4 < (await other.take(RESOURCE, RUNNING, "key a")).wait_s <= 5
    assert await other.pause(RESOURCE, 10)
    for credential in ("key a", "key b"):
        assert 9 < (await one.take(RESOURCE, RUNNING, credential)).wait_s <= 10, "the later end of both pauses"


async def test_without_a_limit_only_pauses_count(clients: RedisClients) -> None:
    one = ConnectionQuota(clients.control, 0)
    assert await _granted(one, BACKGROUND, 200) == 200
    await one.pause(RESOURCE, 1)
    assert not (await one.take(RESOURCE, RUNNING)).token
