"""What a process writes once for all that came together, and when it rests."""

from __future__ import annotations

import asyncio
import time

import pytest

from bridge_common.gathering import Gathering
from eventually import eventually


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def fail() -> None:
    raise RuntimeError("a connection has a fault")


async def test_writes_come_after_all_that_is_taken_in() -> None:
    gathering, done = Gathering(), list[str]()
    gathering.last(lambda: done.append("write"))
    done.append("taken in")
    assert done == ["taken in"]
    await turns(1)
    assert done == ["taken in", "write"]


async def test_what_a_write_gives_comes_in_the_next_round() -> None:
    gathering, done = Gathering(), list[str]()
    gathering.last(lambda: gathering.last(lambda: done.append("second")))
    await turns(1)
    assert done == []
    await turns(1)
    assert done == ["second"]


async def test_a_fault_stops_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    gathering, done = Gathering(), list[str]()
    gathering.last(fail)
    gathering.last(lambda: done.append("write"))
    await turns(1)
    assert done == ["write"]
    assert "gathered write failed" in caplog.text


async def test_under_load_the_loop_is_left_alone_between_two_rounds() -> None:
    gathering, at = Gathering(rest_s=0.05), list[float]()

    def come_again() -> None:
        at.append(time.monotonic())
        if len(at) < 6:
            gathering.last(come_again)

    gathering.last(come_again)
    await eventually(lambda: len(at) == 6)
    assert at[-1] - at[0] >= 4 * 0.05


async def test_after_a_pause_nothing_is_held_up() -> None:
    """The first of all comes at once, and the loop is not held up after it."""
    gathering, done = Gathering(rest_s=0.5), list[str]()
    began = time.monotonic()
    gathering.last(lambda: done.append("write"))
    await turns(3)
    assert done == ["write"]
    assert time.monotonic() - began < 0.5


async def test_without_a_rest_the_loop_is_never_held_up() -> None:
    gathering, done = Gathering(), list[str]()
    for _ in range(3):
        gathering.last(lambda: done.append("write"))
        await turns(1)
    assert done == ["write"] * 3
