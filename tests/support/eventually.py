"""Waits in tests: polls a condition until it is true or a deadline has passed, instead of sleeping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    fact: Callable[[], Awaitable[T]], *, within_s: float = 10.0, every_s: float = 0.01, what: str = ""
) -> T: ...


@overload
async def eventually(fact: Callable[[], T], *, within_s: float = 10.0, every_s: float = 0.01, what: str = "") -> T: ...


async def eventually(fact: Callable[[], Any], *, within_s: float = 10.0, every_s: float = 0.01, what: str = "") -> Any:
    """Return the first truthy value of `fact()`. After `within_s` seconds, fail with the last value."""
    deadline = time.monotonic() + within_s
    while True:
        value = fact()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {within_s} s: {what or fact}; last value {value!r}")
        await asyncio.sleep(every_s)
