"""When a draining relay gives its calls away."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace
from typing import cast

import pytest

from agent_relay.call.relay import Relay
from agent_relay.call_context import CallContext
from agent_relay.fleet.hand_over import HandOver
from agent_relay.fleet.owned_call import Holdings, OwnedCall
from bridge_common.store.fleet import Member
from bridge_common.store.leases import Claim
from tests.support.eventually import eventually


def _peer(active: int, capacity: int = 10, *, draining: bool = False) -> Member:
    return Member("relay", "agent-relay", capacity, active, draining, 0)


class Peers:
    def __init__(self, *members: Member) -> None:
        self._members = members

    async def peers(self) -> list[Member]:
        return list(self._members)


@pytest.mark.parametrize(
    ("members", "room"),
    [
        ([_peer(9), _peer(9)], True),
        ([_peer(9)], False),
        ([_peer(9), _peer(0, draining=True)], False),
        ([_peer(12), _peer(8)], True),
    ],
    ids=["enough", "too little", "the room of one that drains is none", "one that is too full takes no room away"],
)
async def test_calls_are_handed_over_when_all_of_them_find_room(members: list[Member], room: bool) -> None:
    desk = cast(CallContext, SimpleNamespace(fleet=Peers(*members)))
    holdings = cast(Holdings, {"one": None, "two": None})
    assert await HandOver(desk, holdings).others_have_room() is room


async def test_announcements_are_held_while_the_call_can_go_elsewhere() -> None:
    held: list[bool] = []
    claim = Claim("call_1", 1, "0-0")
    relay = cast(Relay, SimpleNamespace(quiet=False, hold_announcements=held.append))
    holdings: Holdings = {claim: OwnedCall(claim, 0.0, relay=relay)}
    peers = Peers(_peer(10))
    hand_over = HandOver(cast(CallContext, SimpleNamespace(fleet=peers)), holdings)
    running = asyncio.create_task(hand_over.run(math.inf))
    await eventually(lambda: held)
    assert set(held) == {False}, "nobody else would speak them"
    peers._members = (_peer(0),)
    await eventually(lambda: held[-1])
    holdings.clear()
    await asyncio.wait_for(running, 10)
