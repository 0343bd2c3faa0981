"""A claimed call can be stopped at any time, even before its relay exists."""

from __future__ import annotations

import asyncio
from typing import cast

from agent_relay.call.relay import LEASE_LOST, Relay
from agent_relay.fleet.lease_keeper import OwnedCall
from bridge_common.store.leases import Claim

CLAIM = Claim("call_1", 1, "0-0")


class StoppedRelay:
    def __init__(self) -> None:
        self.why: list[str] = []

    def stop(self, why: str) -> None:
        self.why.append(why)


async def test_without_a_relay_its_task_is_cancelled() -> None:
    task = asyncio.create_task(asyncio.Event().wait())
    OwnedCall(CLAIM, 0.0, cast("asyncio.Task[None]", task)).stop(LEASE_LOST)
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_relay_gets_the_reason_and_ends_by_itself() -> None:
    relay, task = StoppedRelay(), asyncio.create_task(asyncio.Event().wait())
    OwnedCall(CLAIM, 0.0, cast("asyncio.Task[None]", task), cast(Relay, relay)).stop(LEASE_LOST)
    assert relay.why == [LEASE_LOST]
    assert not task.cancelling()
    task.cancel()


def test_without_either_there_is_nothing_to_stop() -> None:
    OwnedCall(CLAIM, 0.0).stop(LEASE_LOST)
