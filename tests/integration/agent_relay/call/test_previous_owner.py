"""Detection of whether the previous owner still speaks, by the heartbeats of the fleet."""

from __future__ import annotations

import asyncio

import pytest

from agent_relay.call.previous_owner import PreviousOwner
from agent_relay.core.uplink_cursor import UplinkStop
from agent_relay.fleet.relay_worker import KIND
from bridge_common.base.errors import OutsideError
from bridge_common.redis.clients import RedisClients
from bridge_common.store import fleet
from bridge_common.store.fleet import Fleet, Member
from bridge_common.store.leases import Claim, Leases
from bridge_common.wire.keys import Keys
from tests.support.eventually import eventually

STOP_WITHIN_S = 0.3


def _owner(members: Fleet, speaker: str, voice_epoch: int) -> PreviousOwner:
    return PreviousOwner(members, speaker, voice_epoch, stop_within_s=STOP_WITHIN_S)


@pytest.fixture
def mine(clients: RedisClients) -> Fleet:
    return Fleet(clients.control, "relay-2", KIND)


@pytest.fixture
def other(clients: RedisClients) -> Fleet:
    return Fleet(clients.control, "relay-1", KIND)


async def test_nobody_has_handed_a_new_call_over(mine: Fleet) -> None:
    assert not _owner(mine, "", 0).speaks


async def test_another_one_has_had_a_voice_session_after_it(mine: Fleet, other: Fleet) -> None:
    await other.beat(draining=True)
    assert not _owner(mine, "relay-1|7", 8).speaks


async def test_one_that_died_does_not_speak(mine: Fleet) -> None:
    before = _owner(mine, "relay-1|7", 7)
    assert before.speaks, "as far as is known"
    await asyncio.wait_for(before.watch(), 10)
    assert not before.speaks


async def test_one_that_does_not_drain_any_more_does_not_speak(mine: Fleet, other: Fleet) -> None:
    await other.beat()
    before = _owner(mine, "relay-1|7", 7)
    await asyncio.wait_for(before.watch(), 10)
    assert not before.speaks


async def test_one_that_drains_speaks_until_it_leaves(
    mine: Fleet, other: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "DEAD_AFTER_MS", 10_000)
    await other.beat(draining=True)
    before = _owner(mine, "relay-1|7", 7)
    watching = asyncio.create_task(before.watch())
    done, _ = await asyncio.wait([watching], timeout=3 * fleet.BEAT_S)
    assert not done
    assert before.speaks
    await other.leave()
    await asyncio.wait_for(watching, 10)
    assert not before.speaks


async def test_one_that_dies_while_it_drains_speaks_no_more(mine: Fleet, other: Fleet) -> None:
    await other.beat(draining=True)
    before = _owner(mine, "relay-1|7", 7)
    await asyncio.wait_for(before.watch(), 10)
    assert not before.speaks


class UnavailableAtFirst(Fleet):
    """A fleet whose first two requests fail."""

    requests = 0

    async def live(self) -> dict[str, Member]:
        self.requests += 1
        if self.requests <= 2:
            raise OutsideError("Redis is unavailable", retry=True)
        return await super().live()


async def test_while_redis_is_unavailable_the_last_known_state_counts(clients: RedisClients) -> None:
    failing = UnavailableAtFirst(clients.control, "relay-2", KIND)
    before = _owner(failing, "relay-1|7", 7)
    watching = asyncio.create_task(before.watch())
    await eventually(lambda: failing.requests >= 1)
    assert before.speaks
    await asyncio.wait_for(watching, 10)
    assert not before.speaks


class Handed:
    """A call that relay-1 has handed over to relay-2."""

    def __init__(self, clients: RedisClients) -> None:
        self.old = Leases(clients.control, Keys(1), "relay-1")
        self.new = Leases(clients.control, Keys(1), "relay-2")

    async def over(self) -> tuple[Claim, Claim]:
        await self.old.offer("call_1")
        [before] = await self.old.claim(1)
        await self.old.release(before, keep_downlink=True)
        [claim] = await self.new.claim(1)
        return before, claim


async def test_it_is_not_asked_where_it_stopped_before_there_is_a_session(clients: RedisClients, mine: Fleet) -> None:
    handed, requests = Handed(clients), list[bool]()
    before, claim = await handed.over()
    previous = _owner(mine, claim.previous_owner, before.epoch)

    def is_ready() -> bool:
        requests.append(True)
        return len(requests) > 3

    stopping = asyncio.create_task(previous.stop(handed.new, claim, is_ready))
    await eventually(lambda: len(requests) > 3)
    await handed.old.note_stop(before, "7-40", "7-1")
    assert await asyncio.wait_for(stopping, 2) == UplinkStop("7-40", "7-1")


async def test_an_owner_that_stopped_and_left_has_stored_where(clients: RedisClients, mine: Fleet) -> None:
    handed = Handed(clients)
    before, claim = await handed.over()
    previous = _owner(mine, claim.previous_owner, before.epoch)
    await handed.old.note_stop(before, "7-40", "7-1")
    await previous.watch()
    assert not previous.speaks
    assert await previous.stop(handed.new, claim, lambda: False) == UplinkStop("7-40", "7-1")


async def test_an_owner_that_stores_no_stop_is_not_waited_for(clients: RedisClients, mine: Fleet) -> None:
    """The previous owner is frozen, or runs a version that stores no position."""
    handed = Handed(clients)
    before, claim = await handed.over()
    previous = _owner(mine, claim.previous_owner, before.epoch)
    began = asyncio.get_running_loop().time()
    assert await asyncio.wait_for(previous.stop(handed.new, claim, lambda: True), 2) is None
    assert asyncio.get_running_loop().time() >= began + STOP_WITHIN_S
    assert previous.speaks, "as far as is known"
