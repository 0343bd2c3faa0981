"""Whether the relay before speaks on, as the heartbeats of the fleet say it."""

from __future__ import annotations

import asyncio

import pytest

from agent_relay.predecessor import Predecessor
from agent_relay.worker import KIND
from bridge_common import fleet
from bridge_common.errors import OutsideError
from bridge_common.fleet import Fleet, Member
from bridge_common.redis_clients import RedisClients
from eventually import eventually


@pytest.fixture
def mine(clients: RedisClients) -> Fleet:
    return Fleet(clients.control, "relay-2", KIND)


@pytest.fixture
def other(clients: RedisClients) -> Fleet:
    return Fleet(clients.control, "relay-1", KIND)


async def test_nobody_has_handed_a_new_call_over(mine: Fleet) -> None:
    assert not Predecessor(mine, "", 0).speaks


async def test_another_one_has_had_a_voice_session_after_it(mine: Fleet, other: Fleet) -> None:
    await other.beat(draining=True)
    assert not Predecessor(mine, "relay-1|7", 8).speaks


async def test_one_that_died_does_not_speak(mine: Fleet) -> None:
    before = Predecessor(mine, "relay-1|7", 7)
    assert before.speaks, "for all we know"
    await asyncio.wait_for(before.watch(), 10)
    assert not before.speaks


async def test_one_that_does_not_drain_any_more_does_not_speak(mine: Fleet, other: Fleet) -> None:
    await other.beat()
    before = Predecessor(mine, "relay-1|7", 7)
    await asyncio.wait_for(before.watch(), 10)
    assert not before.speaks


async def test_one_that_drains_speaks_until_it_leaves(
    mine: Fleet, other: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "DEAD_AFTER_MS", 10_000)
    await other.beat(draining=True)
    before = Predecessor(mine, "relay-1|7", 7)
    watching = asyncio.create_task(before.watch())
    done, _ = await asyncio.wait([watching], timeout=3 * fleet.BEAT_S)
    assert not done
    assert before.speaks
    await other.leave()
    await asyncio.wait_for(watching, 10)
    assert not before.speaks


async def test_one_that_dies_while_it_drains_speaks_no_more(mine: Fleet, other: Fleet) -> None:
    await other.beat(draining=True)
    before = Predecessor(mine, "relay-1|7", 7)
    await asyncio.wait_for(before.watch(), 10)
    assert not before.speaks


class AwayAtFirst(Fleet):
    """The first two looks find no Redis."""

    looks = 0

    async def live(self) -> dict[str, Member]:
        self.looks += 1
        if self.looks <= 2:
            raise OutsideError("Redis is away", retry=True)
        return await super().live()


async def test_while_redis_is_away_nothing_new_is_known(clients: RedisClients) -> None:
    away = AwayAtFirst(clients.control, "relay-2", KIND)
    before = Predecessor(away, "relay-1|7", 7)
    watching = asyncio.create_task(before.watch())
    await eventually(lambda: away.looks >= 1)
    assert before.speaks
    await asyncio.wait_for(watching, 10)
    assert not before.speaks
