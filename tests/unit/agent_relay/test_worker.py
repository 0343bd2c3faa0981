"""Whom a relay lets claim first, and when it gives a call away."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace
from typing import cast

import pytest
from redis.asyncio import Redis

from agent_relay.desk import Desk
from agent_relay.hand_over import HandOver
from agent_relay.holding import Holdings
from agent_relay.worker import Worker, emptiest
from bridge_common.fleet import Member
from bridge_common.leases import Claim


def relay(active: int, capacity: int = 10, *, draining: bool = False) -> Member:
    return Member("relay", "agent-relay", capacity, active, draining, 0)


def test_the_emptiest_counts() -> None:
    assert emptiest([relay(5), relay(2), relay(9)]) == 0.2
    assert emptiest([relay(5), relay(20, 100)]) == 0.2


def test_who_cannot_take_a_call_is_waited_for_by_nobody() -> None:
    assert emptiest([]) == math.inf
    assert emptiest([relay(10), relay(0, 0), relay(1, draining=True)]) == math.inf
    assert emptiest([relay(10), relay(8)]) == 0.8


class Recorder:
    """Writer and leases of a relay: what was asked of them, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def flush(self) -> None:
        await asyncio.sleep(0)
        self.asked.append("flushed")

    async def release(self, _: Claim) -> None:
        self.asked.append("released")


async def test_what_was_said_goes_out_before_another_relay_may_have_the_call() -> None:
    recorder = Recorder()
    desk = cast(Desk, SimpleNamespace(writer=recorder, leases=recorder))
    worker = Worker(desk, cast(Redis, None), capacity=1)
    await worker._release(cast(Claim, None))
    assert recorder.asked == ["flushed", "released"]


class Peers:
    def __init__(self, *members: Member) -> None:
        self._members = members

    async def peers(self) -> list[Member]:
        return list(self._members)


@pytest.mark.parametrize(
    ("members", "room"),
    [
        ([relay(9), relay(9)], True),
        ([relay(9)], False),
        ([relay(9), relay(0, draining=True)], False),
        ([relay(12), relay(8)], True),
    ],
    ids=["enough", "too little", "the room of one that drains is none", "one that is too full takes no room away"],
)
async def test_calls_are_handed_over_when_all_of_them_find_room(members: list[Member], room: bool) -> None:
    desk = cast(Desk, SimpleNamespace(fleet=Peers(*members)))
    holdings = cast(Holdings, {"one": None, "two": None})
    assert await HandOver(desk, holdings).others_have_room() is room
