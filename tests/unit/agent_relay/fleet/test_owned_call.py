"""A claimed call can be stopped at any moment, also before there is a relay for it."""

from __future__ import annotations

import asyncio
from typing import cast

from agent_relay.call.relay import LEASE_LOST, Relay
from agent_relay.fleet.owned_call import OwnedCall
from bridge_common.store.leases import Claim

CLAIM = Claim("call_1", 1, "0-0")


class Told:
    def __init__(self) -> None:
        self.why: list[str] = []

    def stop(self, why: str) -> None:
        self.why.append(why)


async def test_before_its_relay_is_there_what_makes_it_is_cancelled() -> None:
    task = asyncio.create_task(asyncio.Event().wait())
    OwnedCall(CLAIM, 0.0, cast("asyncio.Task[None]", task)).stop(LEASE_LOST)
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_relay_is_told_why_and_leaves_by_itself() -> None:
    told, task = Told(), asyncio.create_task(asyncio.Event().wait())
    OwnedCall(CLAIM, 0.0, cast("asyncio.Task[None]", task), cast(Relay, told)).stop(LEASE_LOST)
    assert told.why == [LEASE_LOST]
    assert not task.cancelling()
    task.cancel()


def test_without_either_there_is_nothing_to_stop() -> None:
    OwnedCall(CLAIM, 0.0).stop(LEASE_LOST)
