"""Helpers that wait on behalf of compiled modules (ADR 21).

A compiled coroutine must not await within `finally`, `except` or `async with`: the current exception would be lost, or
that of another coroutine raised. This module is not compiled and awaits on behalf of those that are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

_T = TypeVar("_T")


async def afterwards(work: Awaitable[_T], clean_up: Callable[[], Awaitable[object]]) -> _T:
    """Await `work`, then `clean_up`, even if the work raised or was canceled. Return the result of the work."""
    try:
        return await work
    finally:
        await clean_up()


async def beside(work: Awaitable[_T], other: Coroutine[object, object, None]) -> _T:
    """Return the result of `work` when `other` has ended as well. An error of either ends both, in an
    `ExceptionGroup`.
    """
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(other)
        return await work


@asynccontextmanager
async def time_limit(seconds: float, awaited: str) -> AsyncIterator[None]:
    """Raise a `TimeoutError` that states what was awaited and how long. Like `asyncio.timeout`; not for compiled
    modules.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TimeoutError(f"waited {seconds:g} s for {awaited}") from error


class TaskSupervisor:
    """Runs coroutines in tasks until canceled; more may be added at any time."""

    def __init__(self) -> None:
        self._members: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._tasks: asyncio.TaskGroup | None = None

    def join(self, member: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Add a member. It is called once per `run`, immediately if one is in progress."""
        self._members.append(member)
        if self._tasks is not None:
            self._tasks.create_task(member())

    async def run(self) -> None:
        """Run all members until canceled. An error of a member ends all, in an `ExceptionGroup`."""
        async with asyncio.TaskGroup() as tasks:
            for member in self._members:
                tasks.create_task(member())
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None
