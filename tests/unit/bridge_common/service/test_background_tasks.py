"""Background tasks: a failed one is reported, a stopped one is not."""

from __future__ import annotations

import asyncio

import pytest

from bridge_common.service.background_tasks import BackgroundTasks
from tests.support.eventually import eventually


async def forever() -> None:
    await asyncio.Event().wait()


async def nothing() -> None:
    pass


async def die() -> None:
    raise RuntimeError("broken")


async def test_parts_run_until_they_are_stopped_in_the_order_of_their_start() -> None:
    ended: list[str] = []

    async def part(name: str) -> None:
        try:
            await forever()
        finally:
            ended.append(name)

    parts = BackgroundTasks()
    for name in ("worker", "reader", "writer"):
        parts.start(name, part(name))
    await asyncio.sleep(0)
    assert parts.running
    await parts.stop()
    assert ended == ["worker", "reader", "writer"]
    assert parts.failure == ""


@pytest.mark.parametrize("may_end", [False, True])
async def test_a_part_that_raises_is_a_failure(may_end: bool, caplog: pytest.LogCaptureFixture) -> None:
    parts = BackgroundTasks()
    parts.start("reader", forever())
    parts.start("writer", die(), may_end=may_end)
    assert await asyncio.wait_for(parts.failed(), 10) == "writer has stopped"
    assert not parts.running
    [line] = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert line.exc_info is not None
    await parts.stop()


async def test_a_part_that_returns_is_a_failure_unless_it_may() -> None:
    parts = BackgroundTasks()
    first = parts.start("signing keys", nothing(), may_end=True)
    await eventually(first.done)
    assert parts.failure == ""
    parts.start("reader", nothing())
    assert await asyncio.wait_for(parts.failed(), 10) == "reader has stopped"
    await parts.stop()


async def test_one_that_is_cancelled_early_is_no_failure() -> None:
    parts = BackgroundTasks()
    warming = parts.start("warm sessions", forever())
    warming.cancel()
    await eventually(warming.done)
    assert parts.failure == ""
    await parts.stop()
    await parts.stop()


async def test_the_first_failure_stays() -> None:
    parts = BackgroundTasks()
    parts.start("reader", die())
    await asyncio.wait_for(parts.failed(), 10)
    parts.start("writer", die())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert parts.failure == "reader has stopped"
    await parts.stop()
