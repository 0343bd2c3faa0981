"""Waiting for several things, for modules that are compiled (ADR 21).

A compiled coroutine must not wait within `finally`, `except` or `async with`: the exception in hand would be lost, or
that of another coroutine raised. Here nothing is compiled, and the waiting is done for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

_T = TypeVar("_T")


async def afterwards(work: Awaitable[_T], clean_up: Callable[[], Awaitable[object]]) -> _T:
    """The work's result; `clean_up` is waited for before, whether the work returned, raised or was cancelled."""
    try:
        return await work
    finally:
        await clean_up()


async def beside(work: Awaitable[_T], other: Coroutine[object, object, None]) -> _T:
    """The work's result, when the other is done as well. What either raises ends both, in an `ExceptionGroup`."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(other)
        return await work


@asynccontextmanager
async def time_limit(seconds: float, awaited: str) -> AsyncIterator[None]:
    """`asyncio.timeout` whose `TimeoutError` states what was awaited and how long. Not for compiled modules."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TimeoutError(f"waited {seconds:g} s for {awaited}") from error


class TaskSupervisor:
    """Work that goes on until it is cancelled, each piece in a task; more may join at any time."""

    def __init__(self) -> None:
        self._members: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._tasks: asyncio.TaskGroup | None = None

    def join(self, member: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """It is called once in each `run`: at once in one that is under way."""
        self._members.append(member)
        if self._tasks is not None:
            self._tasks.create_task(member())

    async def run(self) -> None:
        """Until cancelled. What a member raises ends all, in an `ExceptionGroup`."""
        async with asyncio.TaskGroup() as tasks:
            for member in self._members:
                tasks.create_task(member())
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None
