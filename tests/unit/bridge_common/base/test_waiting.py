from __future__ import annotations

import asyncio

import pytest

from bridge_common.base.waiting import TaskSupervisor, afterwards, beside, time_limit


class Cleaner:
    def __init__(self) -> None:
        self.is_done = False

    async def __call__(self) -> None:
        await asyncio.sleep(0)
        self.is_done = True


async def _returns() -> int:
    return 7


async def _raises() -> None:
    raise ValueError("broken")


async def test_it_cleans_up_and_then_returns() -> None:
    clean_up = Cleaner()
    assert await afterwards(_returns(), clean_up) == 7
    assert clean_up.is_done


async def test_it_cleans_up_and_then_raises() -> None:
    clean_up = Cleaner()
    with pytest.raises(ValueError, match="broken"):
        await afterwards(_raises(), clean_up)
    assert clean_up.is_done


async def test_it_cleans_up_when_cancelled() -> None:
    clean_up, under_way = Cleaner(), asyncio.Event()

    async def waits() -> None:
        under_way.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(afterwards(waits(), clean_up))
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clean_up.is_done


async def test_the_other_is_waited_for() -> None:
    other = Cleaner()
    assert await beside(_returns(), other()) == 7
    assert other.is_done


async def test_what_the_other_raises_ends_the_work() -> None:
    with pytest.raises(ExceptionGroup) as raised:
        await beside(asyncio.Event().wait(), _raises())
    assert [str(error) for error in raised.value.exceptions] == ["broken"]


async def test_a_crew_runs_those_that_joined_before_and_those_that_join_later() -> None:
    crew, begun = TaskSupervisor(), [asyncio.Event(), asyncio.Event()]

    async def member(n: int) -> None:
        begun[n].set()
        await asyncio.Event().wait()

    crew.join(lambda: member(0))
    assert not begun[0].is_set()
    for _ in range(2):  # `run` may be called again with the same members
        task = asyncio.create_task(crew.run())
        await begun[0].wait()
        if not begun[1].is_set():
            crew.join(lambda: member(1))
        await begun[1].wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        begun[0].clear()


async def test_what_a_member_raises_ends_the_crew() -> None:
    crew = TaskSupervisor()
    crew.join(_raises)
    with pytest.raises(ExceptionGroup):
        await crew.run()


async def test_a_time_out_states_what_was_awaited_and_how_long() -> None:
    with pytest.raises(TimeoutError, match=r"^waited 0\.01 s for the reply$"):
        async with time_limit(0.01, "the reply"):
            await asyncio.Event().wait()
    with pytest.raises(TimeoutError, match="raised by the work"):
        async with time_limit(5, "the reply"):
            raise TimeoutError("raised by the work")
