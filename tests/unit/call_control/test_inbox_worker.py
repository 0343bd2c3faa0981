"""The loops of a worker while its process drains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

from bridge_common.observability.telemetry import REGISTRY
from bridge_common.store.fleet import Fleet
from bridge_common.store.inbox import Delivery, Inbox
from call_control.inbox_worker import CommandRunner, InboxWorker, WorkerTiming
from call_control.steps import CallSteps
from tests.support.eventually import eventually

QUICK = WorkerTiming(read_block_ms=1, timer_poll_s=0.001, orphan_poll_s=0.001, beat_s=0.001)


class InboxOfADeadReplica:
    """An inbox that always has pending entries of a dead replica."""

    def __init__(self) -> None:
        self.claims = 0
        self.timer_polls = 0

    def parts(self) -> list[InboxOfADeadReplica]:
        return [self]

    async def read(self, *, block_ms: int) -> list[Delivery]:
        await asyncio.sleep(block_ms / 1000)
        return []

    async def has_pending(self) -> bool:
        return True

    async def claim_orphans(self, _: Collection[str]) -> list[Delivery]:
        self.claims += 1
        return []

    async def forget_dead_consumers(self, _: Collection[str]) -> None:
        pass

    async def fire_due_timers(self) -> SimpleNamespace:
        self.timer_polls += 1
        return SimpleNamespace(next_in_s=1.0)


class RecordingFleet:
    def __init__(self) -> None:
        self.beats: list[bool] = []
        """`draining` of each heartbeat."""

    async def beat(self, *, capacity: int, active: int, draining: bool) -> None:
        self.beats.append(draining)

    async def live(self) -> dict[str, object]:
        return {}


async def _never() -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def working(inbox: InboxOfADeadReplica, fleet: RecordingFleet) -> AsyncIterator[InboxWorker]:
    worker = InboxWorker(
        cast(Inbox, inbox),
        cast(CallSteps, SimpleNamespace(calls=7)),
        cast(Fleet, fleet),
        cast(CommandRunner, None),
        name="one",
        follow_routing=_never,
        timing=QUICK,
    )
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_draining_worker_adopts_no_orphans() -> None:
    inbox = InboxOfADeadReplica()
    async with working(inbox, RecordingFleet()) as worker:
        await eventually(lambda: inbox.claims > 1)
        await worker.drain()
        claims, polls = inbox.claims, inbox.timer_polls
        await eventually(lambda: inbox.timer_polls > polls + 10, what="the loops continue")
        assert inbox.claims <= claims + 1, "the loop may have been between its check and its claim"


async def test_heartbeats_report_the_drain_and_count_the_calls() -> None:
    fleet = RecordingFleet()
    async with working(InboxOfADeadReplica(), fleet) as worker:
        await eventually(lambda: fleet.beats)
        assert not any(fleet.beats)
        await worker.drain()
        await eventually(lambda: fleet.beats[-1])
    assert REGISTRY.get_sample_value("bridge_active_calls") == 7
