"""How relays share calls by their load, and what is written before a call is released."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace
from typing import cast

import pytest

from agent_relay.call_context import CallContext
from agent_relay.fleet.relay_worker import head_start_s, lowest_load, release
from bridge_common.store.fleet import Member
from bridge_common.store.leases import Claim


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
    context = cast(CallContext, SimpleNamespace(writer=recorder, leases=recorder))
    await release(context, cast(Claim, None), "2-7")
    assert recorder.calls == ["flushed", "released at 2-7"]


@pytest.mark.parametrize(
    ("load", "peers_load", "delay_s"), [(0.5, 0.0, 0.02), (1.0, 0.0, 0.04), (0.5, 0.5, 0.0), (0.2, math.inf, 0.0)]
)
def test_a_relay_waits_in_proportion_to_its_higher_load(load: float, peers_load: float, delay_s: float) -> None:
    assert head_start_s(load, peers_load) == pytest.approx(delay_s)
