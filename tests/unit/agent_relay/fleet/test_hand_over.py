"""When a draining relay hands its calls over."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace
from typing import cast
from unittest.mock import AsyncMock

import pytest

from agent_relay.call.relay import Relay
from agent_relay.call_context import CallContext
from agent_relay.fleet.hand_over import HandOver, HandOverLimits
from agent_relay.fleet.lease_keeper import OwnedCall, OwnedCalls
from bridge_common.store.fleet import Member
from bridge_common.store.leases import POLL_MS, Claim
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


class Draining:
    """A relay that drains `calls` calls, none of which gets its next session yet. `free`: connections that the quota
    reports.
    """

    def __init__(self, name: str, peers: list[Member], *, calls: int, free: int) -> None:
        self.released: list[Claim] = []
        fleet = SimpleNamespace(name=name, peers=AsyncMock(return_value=peers))
        record = SimpleNamespace(voice_session_id="sess_1")
        context = SimpleNamespace(
            fleet=fleet,
            quota=SimpleNamespace(free=AsyncMock(return_value=free)),
            leases=SimpleNamespace(release=self._release),
            store=SimpleNamespace(load=AsyncMock(return_value=record)),
        )
        claims = [Claim(f"call_{name}_{number}", 1, "0-0") for number in range(calls)]
        self._owned = {claim: OwnedCall(claim, 0.0, relay=self._relay(claim)) for claim in claims}
        self._hand_over = HandOver(cast(CallContext, context), self._owned, HandOverLimits())

    @staticmethod
    def _relay(claim: Claim) -> Relay:
        relay = SimpleNamespace(quiet=True, voice_resource="resource", voice_session_id="sess_1", claim=claim)
        relay.hold_announcements = relay.stop = lambda _: None
        relay.begin_hand_over = lambda: "1-0"
        return cast(Relay, relay)

    async def _release(self, claim: Claim, _: str, *, keep_downlink: bool) -> None:
        self.released.append(claim)

    async def run_for_some_polls(self) -> None:
        running = asyncio.create_task(self._hand_over.run(math.inf))
        await asyncio.wait([running], timeout=4 * POLL_MS / 1000)
        for task in [running, *(owned.handing_over for owned in self._owned.values() if owned.handing_over)]:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_relays_that_drain_at_the_same_time_divide_the_connections() -> None:
    names = ("relay-1", "relay-2", "relay-3")
    members = {name: Member(name, "agent-relay", 10, 4, True, 0) for name in names}
    others = [Member("relay-4", "agent-relay", 100, 0, False, 0), Member("relay-0", "agent-relay", 10, 0, True, 0)]
    relays = [
        Draining(name, [*others, *(member for member in members.values() if member.name != name)], calls=4, free=5)
        for name in names
    ]
    await asyncio.gather(*(relay.run_for_some_polls() for relay in relays))
    assert [len(relay.released) for relay in relays] == [2, 2, 1]


async def test_a_relay_that_drains_alone_uses_every_connection() -> None:
    relay = Draining("relay-1", [_peer(0), _peer(0, draining=True)], calls=6, free=5)
    await relay.run_for_some_polls()
    assert len(relay.released) == 5
