"""Whom a relay lets claim first, and when it gives a call away."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace
from typing import cast

import pytest
from redis.asyncio import Redis

from agent_relay.call_context import CallContext
from agent_relay.fleet.owned_call import OwnedCall
from agent_relay.fleet.relay_worker import RelayWorker, emptiest
from bridge_common.store.fleet import Member
from bridge_common.store.leases import Claim, Leases


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

    async def release(self, _: Claim, uplink_cursor: str) -> None:
        self.asked.append(f"released at {uplink_cursor}")


async def test_what_was_said_goes_out_before_another_relay_may_have_the_call() -> None:
    recorder = Recorder()
    desk = cast(CallContext, SimpleNamespace(writer=recorder, leases=recorder))
    worker = RelayWorker(desk, cast(Redis, None), capacity=1)
    await worker._release(cast(Claim, None), "2-7")
    assert recorder.asked == ["flushed", "released at 2-7"]


@pytest.mark.parametrize(("active", "emptiest_share", "waits_s"), [(5, 0.0, 0.02), (5, 0.5, 0.0), (2, 0.8, 0.0)])
async def test_a_relay_waits_as_long_as_it_is_fuller_than_the_emptiest(
    active: int, emptiest_share: float, waits_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(delay_s: float) -> None:
        waited.append(delay_s)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    worker = RelayWorker(cast(CallContext, None), cast(Redis, None), capacity=10)
    worker._holdings.update({cast(Claim, number): cast(OwnedCall, None) for number in range(active)})
    worker._emptiest = emptiest_share
    await worker._claim_some(cast(Leases, SimpleNamespace(claim=nothing)))
    assert waited == [pytest.approx(waits_s)]


async def nothing(_: int) -> list[Claim]:
    return []
