"""What calls leave behind in cycles does not stay, however long they lived."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from bridge_common.service import garbage_collection
from bridge_common.service.garbage_collection import GarbageCollection
from tests.support.eventually import eventually


class Call:
    """Knows itself, as a call knows its tasks and they know it."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


async def test_an_old_call_that_is_over_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage_collection, "COLLECT_S", 0.02)
    collection = GarbageCollection()
    collection.start()
    call = Call()
    gc.collect()
    gc.collect()  # it has outlived two looks: of the oldest by now
    over = weakref.ref(call)
    del call
    await eventually(lambda: over() is None)
    collection.stop()


async def test_it_is_not_looked_for_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage_collection, "COLLECT_S", 0.01)
    collection = GarbageCollection()
    collection.start()
    collection.stop()
    over = weakref.ref(Call())
    await asyncio.sleep(0.05)
    assert over() is not None
    GarbageCollection().stop()


async def test_what_was_there_at_the_start_is_not_looked_through() -> None:
    collection = GarbageCollection()
    there = gc.get_freeze_count()
    collection.start()
    assert gc.get_freeze_count() > there
    collection.stop()
