"""What a worker of call-control still takes while its process drains."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from types import SimpleNamespace
from typing import cast

import pytest

from bridge_common.observability.telemetry import REGISTRY
from bridge_common.store.fleet import Fleet
from bridge_common.store.inbox import Delivery, Inbox
from call_control import inbox_worker as worker_module
from call_control.inbox_worker import CommandRunner, InboxWorker
from call_control.steps import CallSteps


class Pending:
    """An inbox with entries of a replica that died."""

    def __init__(self) -> None:
        self.claims = 0

    async def has_pending(self) -> bool:
        return True

    async def claim_orphans(self, _: Collection[str]) -> list[Delivery]:
        self.claims += 1
        return []


async def _nobody() -> dict[str, object]:
    return {}


async def _never() -> None:
    await asyncio.Event().wait()


async def test_a_worker_that_drains_adopts_no_orphans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "ORPHAN_POLL_S", 0.0)
    pending = Pending()
    worker = InboxWorker(
        cast(Inbox, pending),
        cast(CallSteps, None),
        cast(Fleet, SimpleNamespace(live=_nobody)),
        cast(CommandRunner, None),
        name="one",
        follow_routing=_never,
    )
    await worker._adopt_orphans(cast(Inbox, pending))
    assert pending.claims == 1
    draining = asyncio.create_task(worker.drain())
    await asyncio.sleep(0)
    await worker._adopt_orphans(cast(Inbox, pending))
    assert pending.claims == 1
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)


async def test_a_heartbeat_reports_the_drain_and_counts_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "BEAT_S", 0.0)
    beats: list[dict[str, object]] = []

    async def beat(**fields: object) -> None:
        beats.append(fields)

    worker = InboxWorker(
        cast(Inbox, None),
        cast(CallSteps, SimpleNamespace(calls=7)),
        cast(Fleet, SimpleNamespace(beat=beat)),
        cast(CommandRunner, None),
        name="one",
        follow_routing=_never,
    )
    await worker._beat(cast(Inbox, None))
    worker._draining = True
    await worker._beat(cast(Inbox, None))
    assert [fields["draining"] for fields in beats] == [False, True]
    assert REGISTRY.get_sample_value("bridge_active_calls") == 7
