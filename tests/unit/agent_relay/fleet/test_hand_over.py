"""When a draining relay hands its calls over."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace
from typing import cast

import pytest

from agent_relay.call.relay import Relay
from agent_relay.call_context import CallContext
from agent_relay.fleet.hand_over import HandOver, HandOverLimits
from agent_relay.fleet.lease_keeper import OwnedCall, OwnedCalls
from bridge_common.store.fleet import Member
from bridge_common.store.leases import Claim
from tests.support.eventually import eventually


def _peer(active: int, capacity: int = 10, *, draining: bool = False) -> Member:
    return Member("relay", "agent-relay", capacity, active, draining, 0)


class Peers:
    def __init__(self, *members: Member) -> None:
        self.members = members

    async def peers(self) -> list[Member]:
        return list(self.members)


@pytest.mark.parametrize(
    ("members", "room"),
    [
        ([_peer(9), _peer(9)], True),
        ([_peer(9)], False),
        ([_peer(9), _peer(0, draining=True)], False),
        ([_peer(12), _peer(8)], True),
    ],
    ids=["enough", "too little", "a draining relay has no room", "a relay over its capacity counts as full"],
)
async def test_calls_are_handed_over_when_all_of_them_find_room(members: list[Member], room: bool) -> None:
    context = cast(CallContext, SimpleNamespace(fleet=Peers(*members)))
    owned_calls = cast(OwnedCalls, {"one": None, "two": None})
    assert await HandOver(context, owned_calls, HandOverLimits()).others_have_room() is room


async def test_announcements_are_held_while_the_call_can_go_elsewhere() -> None:
    held: list[bool] = []
    claim = Claim("call_1", 1, "0-0")
    relay = cast(Relay, SimpleNamespace(quiet=False, hold_announcements=held.append))
    owned_calls: OwnedCalls = {claim: OwnedCall(claim, 0.0, relay=relay)}
    peers = Peers(_peer(10))
    hand_over = HandOver(cast(CallContext, SimpleNamespace(fleet=peers)), owned_calls, HandOverLimits())
    running = asyncio.create_task(hand_over.run(math.inf))
    await eventually(lambda: held)
    assert set(held) == {False}, "no other relay would speak them"
    peers.members = (_peer(0),)
    await eventually(lambda: held[-1])
    owned_calls.clear()
    await asyncio.wait_for(running, 10)
