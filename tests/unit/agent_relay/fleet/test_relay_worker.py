"""How relays share calls by their load, and what is written before a call is released."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace
from typing import cast

import pytest
from redis.asyncio import Redis

from agent_relay.call_context import CallContext
from agent_relay.fleet.lease_keeper import OwnedCall
from agent_relay.fleet.relay_worker import RelayWorker, lowest_load
from bridge_common.store.fleet import Member
from bridge_common.store.leases import Claim, Leases


def relay(active: int, capacity: int = 10, *, draining: bool = False) -> Member:
    return Member("relay", "agent-relay", capacity, active, draining, 0)


def test_the_least_loaded_peer_counts() -> None:
    assert lowest_load([relay(5), relay(2), relay(9)]) == 0.2
    assert lowest_load([relay(5), relay(20, 100)]) == 0.2


def test_relays_without_room_are_ignored() -> None:
    assert lowest_load([]) == math.inf
    assert lowest_load([relay(10), relay(0, 0), relay(1, draining=True)]) == math.inf
    assert lowest_load([relay(10), relay(8)]) == 0.8


class Recorder:
    """Records the calls to writer and leases, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def flush(self) -> None:
        await asyncio.sleep(0)
        self.calls.append("flushed")

    async def release(self, _: Claim, uplink_cursor: str) -> None:
        self.calls.append(f"released at {uplink_cursor}")


async def test_entries_are_written_before_the_lease_is_released() -> None:
    recorder = Recorder()
    desk = cast(CallContext, SimpleNamespace(writer=recorder, leases=recorder))
    worker = RelayWorker(desk, cast(Redis, None), capacity=1)
    await worker._release(cast(Claim, None), "2-7")
    assert recorder.calls == ["flushed", "released at 2-7"]


@pytest.mark.parametrize(("active", "peers_load", "waits_s"), [(5, 0.0, 0.02), (5, 0.5, 0.0), (2, 0.8, 0.0)])
async def test_a_relay_waits_as_long_as_it_is_fuller_than_the_lowest_load(
    active: int, peers_load: float, waits_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(delay_s: float) -> None:
        waited.append(delay_s)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    worker = RelayWorker(cast(CallContext, None), cast(Redis, None), capacity=10)
    worker.owned_calls.update({cast(Claim, number): cast(OwnedCall, None) for number in range(active)})
    worker.lowest_load = peers_load
    await worker._claim_some(cast(Leases, SimpleNamespace(claim=nothing)))
    assert waited == [pytest.approx(waits_s)]


async def nothing(_: int) -> list[Claim]:
    return []
