"""Waiting for several things, for modules that are compiled (ADR 21).

A compiled coroutine must not wait within `finally`, `except` or `async with`: the exception in hand would be lost, or
that of another coroutine raised. Here nothing is compiled, and the waiting is done for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

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
