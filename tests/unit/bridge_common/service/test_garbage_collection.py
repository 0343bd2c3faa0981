"""Reference cycles of ended calls are collected, however long the calls lasted."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from bridge_common.service.garbage_collection import GarbageCollection
from tests.support.eventually import eventually


class Call:
    """Refers to itself, as a call and its tasks refer to each other."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


async def test_an_old_call_that_is_over_is_collected() -> None:
    collection = GarbageCollection(collect_s=0.02)
    collection.start()
    call = Call()
    gc.collect()
    gc.collect()  # it has survived two collections, so it is in the old generation
    over = weakref.ref(call)
    del call
    await eventually(lambda: over() is None)
    collection.stop()


async def test_nothing_is_collected_after_stop() -> None:
    collection = GarbageCollection(collect_s=0.01)
    collection.start()
    collection.stop()
    over = weakref.ref(Call())
    await asyncio.sleep(0.05)
    assert over() is not None
    GarbageCollection().stop()


async def test_objects_that_exist_at_start_are_frozen() -> None:
    collection = GarbageCollection()
    there = gc.get_freeze_count()
    collection.start()
    assert gc.get_freeze_count() > there
    collection.stop()
